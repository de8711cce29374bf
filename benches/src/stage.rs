//! What most benches begin with: a server, the model behind it, an agent, and clients that talk to it.

use anyhow::Result;
use serde_json::json;

use crate::client::{Client, Events, Frame};
use crate::options::Options;
use crate::server::Server;
use crate::stub::Stub;

pub(crate) struct Stage {
    pub(crate) stub: Stub,
    pub(crate) server: Server,
    pub(crate) client: Client,
    agent: String,
    environment: String,
}

/// One client with a session of its own, its live stream open.
pub(crate) struct Talk {
    pub(crate) session: String,
    client: Client,
    events: Events,
}

impl Stage {
    pub(crate) async fn set(options: &Options) -> Result<Self> {
        let stub = Stub::start().await?;
        let server = Server::start(options, &stub).await?;
        let mut client = Client::connect(server.address).await?;
        let tools = json!([{"type": "agent_toolset_20260401"}]);
        let agent = json!({"name": "bench", "model": options.model, "tools": tools});
        let agent = client.create("/v1/agents", &agent.to_string()).await?;
        let environment = json!({"name": "bench", "config": {"type": "cloud"}});
        let environment = client.create("/v1/environments", &environment.to_string()).await?;
        Ok(Self { stub, server, client, agent, environment })
    }

    /// The body that creates a session.
    pub(crate) fn session_body(&self) -> String {
        json!({"agent": self.agent, "environment_id": self.environment}).to_string()
    }

    pub(crate) async fn session(&mut self) -> Result<String> {
        let body = self.session_body();
        self.client.create("/v1/sessions", &body).await
    }

    pub(crate) async fn talk(&mut self) -> Result<Talk> {
        let session = self.session().await?;
        let client = Client::connect(self.server.address).await?;
        let events = Client::connect(self.server.address).await?.listen(&session).await?;
        Ok(Talk { session, client, events })
    }

    pub(crate) async fn strike(self) -> Result<()> {
        self.server.stop().await.map(drop)
    }
}

impl Talk {
    /// Says something and follows the stream to the end of the turn. The answer to the request is read beside the
    /// stream, since either may come first.
    pub(crate) async fn turn(&mut self, text: &str, seen: impl FnMut(&Frame<'_>)) -> Result<()> {
        tokio::try_join!(self.client.say(&self.session, text), self.events.turn(seen)).map(drop)
    }
}
