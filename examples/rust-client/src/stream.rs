use std::time::Duration;

use tokio::sync::mpsc;
use tokio::time::timeout;
use tokio_stream::wrappers::ReceiverStream;
use tonic::transport::{Channel, Endpoint};
use tonic::{Status, Streaming};

use crate::plugin::plugin_service_client::PluginServiceClient;
use crate::plugin::{
    client_message, server_message, ClientAck, ClientMessage, ServerMessage, Start,
};

/// The name under which walstream remembers, while it runs, what was
/// acknowledged.
const CONSUMER: &str = "rust-client";

pub type Client = PluginServiceClient<Channel>;

/// Connects when the first stream is opened, and again whenever that is needed.
pub fn client(address: &str) -> Result<Client, tonic::transport::Error> {
    let channel = Endpoint::from_shared(format!("http://{address}"))?
        .connect_timeout(Duration::from_secs(10))
        // A server whose machine died would otherwise never be missed.
        .http2_keep_alive_interval(Duration::from_secs(30))
        .keep_alive_timeout(Duration::from_secs(10))
        .connect_lazy();
    // An event is as large as its row; the default is 4 MiB.
    Ok(PluginServiceClient::new(channel).max_decoding_message_size(usize::MAX))
}

/// One Subscribe call.
pub struct Stream {
    to_server: mpsc::Sender<ClientMessage>,
    from_server: Streaming<ServerMessage>,
}

impl Stream {
    pub async fn open(client: &Client) -> Result<Self, Status> {
        let (to_server, outgoing) = mpsc::channel(1);
        let start = client_message::Msg::Start(Start {
            consumer: CONSUMER.to_owned(),
            ..Start::default()
        });
        send(&to_server, start).await;
        let response = client
            .clone()
            .subscribe(ReceiverStream::new(outgoing))
            .await?;
        Ok(Self {
            to_server,
            from_server: response.into_inner(),
        })
    }

    /// The next message. Nothing is read ahead beyond HTTP/2's flow control: a
    /// slow `handle` slows the server down instead of filling memory.
    pub async fn receive(&mut self) -> Result<server_message::Msg, Status> {
        loop {
            match self.from_server.message().await? {
                Some(ServerMessage { msg: Some(msg) }) => return Ok(msg),
                Some(ServerMessage { msg: None }) => {} // of a newer server
                None => return Err(Status::unavailable("the server ended the stream")),
            }
        }
    }

    /// Says that everything up to `position` was processed.
    pub async fn acknowledge(&self, position: u64) {
        let ack = client_message::Msg::Ack(ClientAck { pg_lsn: position });
        send(&self.to_server, ack).await;
    }

    /// Leaves time for what was sent to be written, which happens in the
    /// background; what is not written when the call is dropped is lost.
    pub async fn close(mut self) {
        drop(self.to_server);
        let rest = async { while let Ok(Some(_)) = self.from_server.message().await {} };
        let _ = timeout(Duration::from_millis(200), rest).await;
    }
}

/// Reports no error: that the stream broke, and why, is for `receive` to say.
async fn send(to_server: &mpsc::Sender<ClientMessage>, msg: client_message::Msg) {
    let _ = to_server.send(ClientMessage { msg: Some(msg) }).await;
}
