//! Serves HTTP, several clients at a time, and fails when it is told to: `GET /crash` panics,
//! `GET /hang` never comes back, `GET /memory` uses up all there is. Any other target is answered
//! with what became of earlier starts. Must be there again after each, with one fault more.
#![no_std]
#![no_main]

extern crate alloc;

use alloc::format;
use alloc::vec::Vec;

use elone::net::{Listener, TcpSocket};
use elone::{Error, Platform, info};
use embedded_io_async::{Read, Write};

/// HTTP.
const PORT: u16 = 80;
/// Clients at a time.
const CLIENTS: usize = 8;
/// The longest request, in bytes.
const REQUEST: usize = 1024;

#[elone::main]
async fn main(platform: Platform) -> Result<(), Error> {
    let net = platform.net().configured().await?;
    let listener: &Listener = elone::forever(net.bind(PORT).await?);
    for _ in 0..CLIENTS {
        platform.spawn(accept(platform, listener));
    }
    info!("listening on {}:{PORT}", net.address());
    platform.shutdown().await;
    Ok(())
}

async fn accept(platform: Platform, listener: &Listener) {
    while let Ok((_, mut socket)) = listener.accept().await {
        // A client that goes away is its own affair.
        let _gone = serve(platform, &mut socket).await;
    }
}

/// Answers requests without content, one after the other, until the client has no more.
async fn serve(platform: Platform, socket: &mut TcpSocket) -> Result<(), Error> {
    let (mut request, mut length) = ([0; REQUEST], 0);
    loop {
        match socket.read(&mut request[length..]).await? {
            0 => return Ok(()),
            more => length += more,
        }
        if request[..length].ends_with(b"\r\n\r\n") {
            fail_if_asked(&request[..length]);
            let past = platform.past();
            let body = format!("{{\"restarts\":{},\"faults\":{}}}\n", past.restarts, past.faults);
            let (kind, length_of_body) = ("application/json", body.len());
            let head = format!(
                "HTTP/1.1 200 OK\r\nContent-Type: {kind}\r\nContent-Length: {length_of_body}\r\n\r\n"
            );
            socket.write_all((head + &body).as_bytes()).await?;
            length = 0;
        }
    }
}

fn fail_if_asked(request: &[u8]) {
    let is_for = |target: &[u8]| request.starts_with(target);
    if is_for(b"GET /crash ") {
        panic!("as asked for");
    } else if is_for(b"GET /hang ") {
        loop {
            core::hint::spin_loop();
        }
    } else if is_for(b"GET /memory ") {
        let mut all: Vec<Vec<u8>> = Vec::new();
        loop {
            all.push(core::hint::black_box(Vec::with_capacity(64 << 10)));
        }
    }
}
