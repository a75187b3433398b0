//! Accepting connections.

use axum::{Router, extract::ConnectInfo};
use hyper::{body::Incoming, server::conn::http1, service::service_fn};
use hyper_util::rt::{TokioIo, TokioTimer};
use std::{net::SocketAddr, sync::Arc, time::Duration};
use tokio::{
    net::{TcpListener, TcpStream},
    sync::Semaphore,
};
use tokio_util::{sync::CancellationToken, task::TaskTracker};
use tower::ServiceExt;

/// Connections at the same time. Further ones wait to be accepted.
const MAX_CONNECTIONS: usize = 1024;
/// Longest wait for a request's head, and for the next request of a connection.
const HEADER_TIMEOUT: Duration = Duration::from_secs(30);
/// Pause after the system refused to accept, as when it is out of file descriptors.
const ACCEPT_PAUSE: Duration = Duration::from_millis(200);
/// Time for open connections to end once the server stops.
pub const CLOSE_TIMEOUT: Duration = Duration::from_secs(5);

/// Answers connections with `router` until `stop` is cancelled, then lets running requests end for a few seconds.
pub async fn serve(listener: TcpListener, router: Router, stop: CancellationToken) {
    let slots = Arc::new(Semaphore::new(MAX_CONNECTIONS));
    let tasks = TaskTracker::new();
    loop {
        let accepted = tokio::select! {
            () = stop.cancelled() => break,
            accepted = accept(&listener, &slots) => accepted,
        };
        match accepted {
            Some((stream, address, permit)) => {
                let (router, stop) = (router.clone(), stop.clone());
                tasks.spawn(async move {
                    connection(stream, address, router, stop).await;
                    drop(permit);
                });
            },
            None => break,
        }
    }
    drop(listener);
    tasks.close();
    if tokio::time::timeout(CLOSE_TIMEOUT, tasks.wait()).await.is_err() {
        tracing::warn!("some connections did not end in time");
    }
}

type Accepted = (TcpStream, SocketAddr, tokio::sync::OwnedSemaphorePermit);

async fn accept(listener: &TcpListener, slots: &Arc<Semaphore>) -> Option<Accepted> {
    // The semaphore is never closed.
    let permit = slots.clone().acquire_owned().await.ok()?;
    loop {
        match listener.accept().await {
            Ok((stream, address)) => return Some((stream, address, permit)),
            Err(error) => {
                tracing::warn!(%error, "a connection was not accepted");
                tokio::time::sleep(ACCEPT_PAUSE).await;
            },
        }
    }
}

async fn connection(stream: TcpStream, address: SocketAddr, router: Router, stop: CancellationToken) {
    // Pieces of a streamed answer are small and must not wait for each other.
    if let Err(error) = stream.set_nodelay(true) {
        tracing::debug!(%error, "a connection is not without delay");
    }
    let service = service_fn(move |mut request: hyper::Request<Incoming>| {
        request.extensions_mut().insert(ConnectInfo(address));
        router.clone().oneshot(request)
    });
    let connection = http1::Builder::new()
        .timer(TokioTimer::new())
        .header_read_timeout(HEADER_TIMEOUT)
        .serve_connection(TokioIo::new(stream), service);
    let mut connection = std::pin::pin!(connection);
    let ended = tokio::select! {
        ended = connection.as_mut() => ended,
        () = stop.cancelled() => {
            connection.as_mut().graceful_shutdown();
            connection.await
        },
    };
    if let Err(error) = ended {
        tracing::trace!(%error, %address, "a connection broke");
    }
}
