//! Whether what answers is HTTP/1, as Qdrant's REST port does: who mistakes that port is to be told so.

use std::time::Duration;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

use crate::domain::address::BaseUrl;

const PATIENCE: Duration = Duration::from_secs(1);

/// True when it does. Behind TLS that is not found out.
pub(super) async fn answers(base: &BaseUrl) -> bool {
    let asked = tokio::time::timeout(PATIENCE, ask(base)).await;
    !base.is_tls() && asked.is_ok_and(|answered| answered.unwrap_or(false))
}

async fn ask(base: &BaseUrl) -> std::io::Result<bool> {
    let mut stream = TcpStream::connect((base.host(), base.port())).await?;
    stream.write_all(b"GET / HTTP/1.1\r\nHost: qdrant\r\nConnection: close\r\n\r\n").await?;
    let mut answer = [0; 7];
    stream.read_exact(&mut answer).await?;
    Ok(answer == *b"HTTP/1.")
}
