//! Free ports that stay free until a server takes them.

use std::net::{Ipv4Addr, TcpListener, UdpSocket};

/// Below Linux's range for outgoing connections (32768 and up), so that none of those can take a leased port.
const RANGE: std::ops::Range<u16> = 20_000..32_000;

/// A TCP port of 127.0.0.1 that no other lease has, in this process or another one of the same machine.
///
/// Binding a port to find it free and then letting go of it is a race. So the lease holds the *UDP* port of the same
/// number, which no server of the tests wants: the system gives it to one holder at a time and takes it back when the
/// holder dies. A server may be killed and started on the port again for as long as the lease lasts.
#[derive(Debug)]
pub struct PortLease {
    hold: UdpSocket,
}

impl PortLease {
    /// Takes one.
    ///
    /// # Panics
    /// When a thousand ports tried at random were taken.
    pub fn take() -> Self {
        (0..1_000)
            .find_map(|_| {
                let port = rand::random_range(RANGE);
                let hold = UdpSocket::bind((Ipv4Addr::LOCALHOST, port)).ok()?;
                TcpListener::bind((Ipv4Addr::LOCALHOST, port)).ok()?;
                Some(Self { hold })
            })
            .expect("no free port between 20000 and 32000")
    }

    /// Its number.
    pub fn port(&self) -> u16 {
        self.hold.local_addr().expect("a bound socket has an address").port()
    }
}
