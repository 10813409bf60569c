//! A client of walstream: prints every transaction, then acknowledges it.
//!
//!     rust-client [HOST:PORT]

mod handle;
mod retry;
mod stream;

use anyhow::{bail, Result};
use tokio::signal::unix::{signal, SignalKind};
use tokio::time::sleep;
use tokio_util::sync::CancellationToken;
use tonic::Status;

use plugin::server_message::Msg;
use retry::Backoff;
use stream::{Client, Stream};

/// The stubs that build.rs made.
mod plugin {
    tonic::include_proto!("plugin");
}

#[tokio::main]
async fn main() -> Result<()> {
    let address = std::env::args()
        .nth(1)
        .unwrap_or_else(|| "127.0.0.1:50051".to_owned());
    let client = stream::client(&address)?;
    let stop = stop_on_signals()?;
    run(client, &stop).await
}

/// The token is cancelled by SIGINT and SIGTERM. A second signal ends the
/// program at once.
fn stop_on_signals() -> Result<CancellationToken> {
    let mut interrupt = signal(SignalKind::interrupt())?;
    let mut terminate = signal(SignalKind::terminate())?;
    let stop = CancellationToken::new();
    let token = stop.clone();
    tokio::spawn(async move {
        loop {
            tokio::select! {
                _ = interrupt.recv() => {}
                _ = terminate.recv() => {}
            }
            if token.is_cancelled() {
                std::process::exit(1);
            }
            token.cancel();
        }
    });
    Ok(stop)
}

/// What can go wrong with a stream.
enum Failure {
    Stream(Status),
    Handle(anyhow::Error),
}

impl From<Status> for Failure {
    fn from(status: Status) -> Self {
        Failure::Stream(status)
    }
}

/// Follows the stream until it is told to stop, and opens it again for as long
/// as that can help.
async fn run(client: Client, stop: &CancellationToken) -> Result<()> {
    let mut backoff = Backoff::default();
    loop {
        let status = match follow(&client, stop, &mut backoff).await {
            Ok(()) => return Ok(()),
            Err(Failure::Stream(status)) => status,
            Err(Failure::Handle(error)) => return Err(error),
        };
        let reason = format!("{}: {}", retry::name(status.code()), status.message());
        if !retry::can_help(status.code()) {
            bail!(reason);
        }
        let delay = backoff.next_delay();
        eprintln!("{reason}; trying again in {delay:.1?}");
        if stop.run_until_cancelled(sleep(delay)).await.is_none() {
            return Ok(());
        }
    }
}

/// Opens one stream and processes its transactions until it is told to stop.
async fn follow(
    client: &Client,
    stop: &CancellationToken,
    backoff: &mut Backoff,
) -> Result<(), Failure> {
    let Some(opened) = stop.run_until_cancelled(Stream::open(client)).await else {
        return Ok(());
    };
    let mut stream = opened?;
    let outcome = process(&mut stream, stop, backoff).await;
    stream.close().await;
    outcome
}

/// A transaction that has not arrived whole is dropped: it was not
/// acknowledged, so it comes again.
async fn process(
    stream: &mut Stream,
    stop: &CancellationToken,
    backoff: &mut Backoff,
) -> Result<(), Failure> {
    let mut rows = Vec::new();
    while let Some(received) = stop.run_until_cancelled(stream.receive()).await {
        let message = received?;
        backoff.reset();
        match message {
            Msg::Started(started) => {
                eprintln!("connected, from {} on", lsn(started.start_lsn));
            }
            Msg::Begin(_) => rows.clear(),
            Msg::Insert(_) | Msg::Update(_) | Msg::Delete(_) | Msg::Truncate(_) => {
                rows.push(message);
            }
            Msg::Commit(commit) => {
                handle::handle(&rows, &commit)
                    .await
                    .map_err(Failure::Handle)?;
                stream.acknowledge(commit.pg_lsn).await;
            }
            _ => {} // not asked for
        }
    }
    Ok(())
}

/// A position, as PostgreSQL prints it.
fn lsn(position: u64) -> String {
    format!("{:X}/{:X}", position >> 32, position & 0xFFFF_FFFF)
}
