//! What a live stream costs while nothing happens on it.

use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::time::Duration;

use anyhow::{Context, Result, ensure};
use rustix::process::getpid;
use tokio::net::{TcpSocket, TcpStream};
use tokio::time::{Instant, sleep};

use crate::client::Client;
use crate::descriptors;
use crate::options::Options;
use crate::server::resident;
use crate::stage::Stage;
use crate::table::{mib, row};

/// Sessions that the streams are spread over.
const SESSIONS: usize = 100;

/// One local address has some 28,000 ports to connect from; every so many streams the next address is used.
const PER_ADDRESS: usize = 20_000;

/// Descriptors that generator and server need beside the streams.
const SPARE: usize = 500;

pub(crate) async fn run(options: &Options) -> Result<()> {
    // Before the server starts, which inherits the limit.
    let limit = descriptors::raise(options.streams + SPARE)?;
    let count = options.streams.min(limit.saturating_sub(SPARE));
    if count < options.streams {
        eprintln!("{limit} descriptors are allowed here, so there are {count} streams");
    }
    ensure!(count > 0, "{limit} descriptors are too few for any stream");
    let mut stage = Stage::set(options).await?;
    let mut sessions = Vec::new();
    for _ in 0..SESSIONS.min(count) {
        sessions.push(stage.session().await?);
    }
    sleep(Duration::from_secs(1)).await;
    let (server_before, own_before) = (stage.server.resident()?, resident(getpid())?);

    let began = Instant::now();
    let mut streams = Vec::with_capacity(count);
    for (number, session) in sessions.iter().cycle().take(count).enumerate() {
        streams.push(open(stage.server.address, number, session).await?);
    }
    let opened_in = began.elapsed();
    sleep(Duration::from_secs(2)).await;
    let (server_after, own_after) = (stage.server.resident()?, resident(getpid())?);

    let each =
        |after: u64, before: u64| format!("{:.1} KiB", after.saturating_sub(before) as f64 / streams.len() as f64);
    let own = format!("this generator's side of it: {}", each(own_after, own_before));
    row(&format!("{count} idle live streams: memory for each"), &each(server_after, server_before), "", &own);
    let before = format!("before: {}", mib(server_before));
    row(&format!("{count} idle live streams: resident memory"), &mib(server_after), "", &before);
    let rate = format!("{:.0} per second, one after another", count as f64 / opened_in.as_secs_f64());
    row(&format!("{count} idle live streams: opened"), &rate, "", "");
    drop(streams);
    stage.strike().await
}

/// Opens a stream and keeps nothing of it but the connection.
async fn open(server: SocketAddr, number: usize, session: &str) -> Result<TcpStream> {
    let host = u8::try_from(1 + number / PER_ADDRESS).context("more streams than local addresses")?;
    let socket = TcpSocket::new_v4()?;
    socket.bind(SocketAddr::new(IpAddr::V4(Ipv4Addr::new(127, 0, 0, host)), 0))?;
    let socket = socket.connect(server).await.with_context(|| format!("cannot connect stream {number}"))?;
    let events = Client::over(socket, server)?.listen(session).await.with_context(|| format!("stream {number}"))?;
    Ok(events.into_socket())
}
