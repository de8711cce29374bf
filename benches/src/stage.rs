//! What most benches begin with: a server, the model behind it, an agent, and clients that talk to it.

use anyhow::Result;
use serde_json::json;
use tempfile::TempDir;

use crate::client::{Client, Events, Frame};
use crate::options::Options;
use crate::server::{Server, Variables};
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
        Self::set_with(options, Stub::start().await?, &options.model, Variables::new()).await
    }

    /// With a model and a server of the bench's own choice.
    pub(crate) async fn set_with(options: &Options, stub: Stub, model: &str, variables: Variables) -> Result<Self> {
        let server = Server::start_with(options, &stub, variables).await?;
        let mut client = Client::connect(server.address).await?;
        let tools = json!([{"type": "agent_toolset_20260401"}]);
        let agent = json!({"name": "bench", "model": model, "tools": tools});
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

    /// Ends the server, and keeps its directory and the model for the next one.
    pub(crate) async fn leave(self) -> Result<(Stub, TempDir)> {
        Ok((self.stub, self.server.stop().await?))
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
