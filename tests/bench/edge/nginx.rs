//! nginx (Debian's package) with one worker, set up to be fast, and to answer with the headers we answer with.

use std::fmt::Write as _;
use std::fs;
use std::net::{SocketAddr, TcpListener};
use std::os::fd::AsRawFd;
use std::path::Path;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, ensure};
use rustix::io::{FdFlags, fcntl_setfd};

use crate::edge::answer::Answer;
use crate::edge::pinned::{self, Pinned};
use crate::load::rest;

/// What nginx says of a file by itself, each in its own words.
const ITS_OWN: [&str; 9] = [
    "accept-ranges",
    "connection",
    "content-encoding",
    "content-length",
    "content-type",
    "date",
    "etag",
    "last-modified",
    "vary",
];

pub struct Nginx {
    pub address: SocketAddr,
    /// The worker's process.
    pub worker: u32,
    _master: Pinned,
}

impl Nginx {
    /// Serves the files in `dir`, compressed beforehand where there is such a file, with the headers of `model`.
    pub fn start(dir: &Path, model: &Answer) -> Result<Self> {
        let listener = TcpListener::bind("127.0.0.1:0")?;
        let address = listener.local_addr()?;
        fs::write(dir.join("nginx.conf"), config(dir, address, model)?)?;
        // It is handed the open port, as to a new nginx when an old one is replaced: nobody can take it in between.
        fcntl_setfd(&listener, FdFlags::empty())?;
        let mut command = pinned::on_one("/usr/sbin/nginx")?;
        command.arg("-p").arg(dir).arg("-c").arg(dir.join("nginx.conf"));
        command.env("NGINX", format!("{};", listener.as_raw_fd()));
        let master =
            Pinned::start(&mut command).context("there is no nginx (apt-get install nginx-light)")?;
        drop(listener);
        Ok(Self { address, worker: worker_of(master.id())?, _master: master })
    }
}

fn worker_of(master: u32) -> Result<u32> {
    let began = Instant::now();
    loop {
        let children =
            fs::read_to_string(format!("/proc/{master}/task/{master}/children")).unwrap_or_default();
        if let Some(worker) = children.split_whitespace().next() {
            return Ok(worker.parse()?);
        }
        ensure!(began.elapsed() < Duration::from_secs(10), "nginx does not start: {children}");
        rest(Duration::from_millis(1));
    }
}

fn config(dir: &Path, address: SocketAddr, model: &Answer) -> Result<String> {
    let mut headers = String::new();
    for (name, value) in model.headers.iter().filter(|(name, _)| !ITS_OWN.contains(&name.as_str())) {
        let value = if name == "x-request-id" { "$request_id" } else { value };
        writeln!(headers, "        add_header {name} \"{value}\";")?;
    }
    if model.headers.contains_key("content-encoding") {
        // Of a compressed file it does not say so.
        writeln!(headers, "        add_header accept-ranges $ranges;")?;
    }
    if !model.headers.contains_key("last-modified") {
        writeln!(headers, "        add_header last-modified \"\";")?;
    }
    let vary = if model.headers.contains_key("vary") { "on" } else { "off" };
    let (dir, kind) = (dir.display(), model.header("content-type")?);
    Ok(format!(
        "worker_processes 1;
daemon off;
user root;
pid {dir}/nginx.pid;
error_log stderr crit;
events {{ worker_connections 4096; }}
http {{
    access_log off;
    client_body_temp_path {dir}/body;
    proxy_temp_path {dir}/proxy;
    fastcgi_temp_path {dir}/fastcgi;
    uwsgi_temp_path {dir}/uwsgi;
    scgi_temp_path {dir}/scgi;
    sendfile on;
    open_file_cache max=1000 inactive=1h;
    open_file_cache_valid 1h;
    keepalive_timeout 1h;
    keepalive_requests 1000000000;
    gzip_static {vary};
    gzip_vary {vary};
    map $status $ranges {{ 304 \"\"; default bytes; }}
    types {{ }}
    default_type \"{kind}\";
    server {{
        listen {address};
        root {dir}/files;
{headers}    }}
}}
"
    ))
}
