//! An address of this machine that refuses every connection for as long as the test holds it.

use std::fmt;
use std::net::SocketAddr;

use tokio::net::TcpSocket;

/// A port that is taken and that nobody listens on. One that is only known to have been free a moment ago may by now be another test's.
pub struct Refusing {
    _taken: TcpSocket,
    address: SocketAddr,
}

impl Refusing {
    pub fn new() -> Self {
        let taken = TcpSocket::new_v4().unwrap();
        taken.bind(([127, 0, 0, 1], 0).into()).unwrap();
        let address = taken.local_addr().unwrap();
        Self { _taken: taken, address }
    }
}

impl fmt::Display for Refusing {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.address.fmt(formatter)
    }
}
