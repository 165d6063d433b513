//! Tries to come to a socket, or to an address, in one way, and says what it is told.

use std::net::{TcpListener, TcpStream, ToSocketAddrs, UdpSocket};

fn main() {
    let way = std::env::args().nth(1).unwrap_or_default();
    // Twice: only once is it told of.
    for _ in 0..2 {
        let outcome = match way.as_str() {
            "connect" => TcpStream::connect("127.0.0.1:1").map(drop),
            "listen" => TcpListener::bind("127.0.0.1:0").map(drop),
            "send" => UdpSocket::bind("127.0.0.1:0").map(drop),
            "look-up" => "localhost:1".to_socket_addrs().map(drop),
            _ => Ok(()),
        };
        println!("{}", if outcome.is_ok() { "done" } else { "denied" });
    }
}
