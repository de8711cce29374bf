//! `stead run`: one job, from a task to the files it leaves, over the public API.

mod client;
mod show;

use std::path::PathBuf;
use std::time::Duration;

use anyhow::{Context, bail};
use serde_json::{Value, json};
use store::OwnError;
use tokio::time::Instant;

use crate::config::Config;
use crate::installation::OpenError;
use crate::key;
use crate::server::{Place, Server, StartError};
use show::Show;

pub(crate) use client::Client;

#[derive(clap::Args)]
pub(crate) struct Arguments {
    /// What the agent is to do
    task: String,
    /// Model id; left out: one of the provider whose key is in the environment, else the built-in script/demo
    #[arg(long, env = "STEAD_MODEL")]
    model: Option<String>,
    /// A file that the agent gets, in /mnt/session/uploads; may be repeated
    #[arg(long = "file", value_name = "FILE")]
    files: Vec<PathBuf>,
    /// Where the files that the agent leaves are saved
    #[arg(long, default_value = "outputs")]
    out: PathBuf,
    /// The agent's system prompt
    #[arg(long)]
    system: Option<String>,
    /// Needed for STEAD_SANDBOX=none: agents can do whatever this user can
    #[arg(long)]
    i_know_this_is_unsafe: bool,
}

/// The models to use when none is named, by the key that is there.
const DEFAULTS: [(&str, &str); 2] = [("ANTHROPIC_API_KEY", "claude-opus-5-5"), ("OPENAI_API_KEY", "gpt-5.1")];

const SCRIPTED: &str = "script/demo";

pub(crate) async fn run(arguments: &Arguments, mut config: Config) -> anyhow::Result<()> {
    if let Some(url) = std::env::var("STEAD_URL").ok().filter(|url| !url.is_empty()) {
        let key = config.api_key.as_ref().map(|key| key.0.clone());
        let key = key.context("STEAD_URL is set: set STEAD_API_KEY to a key of that server too")?;
        return drive(arguments, &Client::new(&url, &key)?).await;
    }
    config.ensure_deliberate(arguments.i_know_this_is_unsafe)?;
    // Any free port: this server is for one job, and another may be using the usual one.
    config.listen.set_port(0);
    match Server::start(&config).await {
        Ok(server) => embedded(arguments, server).await,
        Err(StartError::Open(OpenError::Owned(owned @ OwnError::Locked(_)))) => {
            let place = Place::read(&config.data_dir).ok_or(owned)?;
            let key = config.api_key.as_ref().map(|key| key.0.clone()).or_else(|| key::kept(&config.data_dir));
            let key = key.context("a server runs on this data directory: set STEAD_API_KEY to its key")?;
            drive(arguments, &Client::new(&place.url, &key)?).await
        }
        Err(error) => Err(error.into()),
    }
}

/// Runs the job on a server of its own, in this process.
async fn embedded(arguments: &Arguments, server: Server) -> anyhow::Result<()> {
    let client = Client::new(&format!("http://{}", server.address), &server.key)?;
    let (done, until) = tokio::sync::oneshot::channel::<()>();
    let until = async move {
        // Dropped or sent: either way the job is over.
        let _ = until.await;
    };
    let job = async {
        let outcome = tokio::select! {
            outcome = drive(arguments, &client) => outcome,
            _ = tokio::signal::ctrl_c() => Err(anyhow::anyhow!("interrupted")),
        };
        drop(done);
        outcome
    };
    let (served, outcome) = tokio::join!(server.run(until), job);
    outcome.and(served)
}

async fn drive(arguments: &Arguments, client: &Client) -> anyhow::Result<()> {
    let begun = Instant::now();
    let model = arguments.model.clone().unwrap_or_else(|| {
        let keyed = DEFAULTS.iter().find(|(key, _)| std::env::var_os(key).is_some_and(|value| !value.is_empty()));
        keyed.map_or(SCRIPTED, |(_, model)| model).to_owned()
    });
    let mut show = Show::new();
    show.head(&model);
    let session = prepare(arguments, client, &model, &mut show).await?;
    let outcome = follow(arguments, client, &session, &mut show).await;
    let finished = match outcome {
        Ok(finished) => finished,
        Err(error) => {
            client
                .post(&format!("/v1/sessions/{session}/events"), &json!({"events": [{"type": "user.interrupt"}]}))
                .await
                .ok();
            return Err(error);
        }
    };
    let files = download(arguments, client, &session).await?;
    let record = client.get(&format!("/v1/sessions/{session}")).await?;
    // Archived, not deleted: its history can be looked at, its sandbox is gone.
    client.post(&format!("/v1/sessions/{session}/archive"), &json!({})).await?;
    show.summary(&files, &record["usage"], begun.elapsed(), &session, &model);
    match finished.as_str() {
        "end_turn" => Ok(()),
        reason => bail!("the job stopped without an end: {reason}"),
    }
}

/// Uploads the files and makes agent, environment and session.
async fn prepare(arguments: &Arguments, client: &Client, model: &str, show: &mut Show) -> anyhow::Result<String> {
    let mut resources = Vec::new();
    for path in &arguments.files {
        let name = path
            .file_name()
            .and_then(|name| name.to_str())
            .with_context(|| format!("{} has no file name", path.display()))?;
        let bytes = tokio::fs::read(path).await.with_context(|| format!("{} cannot be read", path.display()))?;
        show.note(&format!("upload {name}, {} bytes", bytes.len()));
        let file = client.upload(name, bytes).await?;
        resources.push(json!({"type": "file", "file_id": file["id"], "mount_path": format!("/{name}")}));
    }
    let agent = json!({
        "name": "stead run", "model": model, "system": arguments.system, "tools": [{"type": "agent_toolset_20260401"}],
    });
    let agent = client.post("/v1/agents", &agent).await?;
    let environment =
        client.post("/v1/environments", &json!({"name": "stead run", "config": {"type": "cloud"}})).await?;
    let title: String = arguments.task.chars().take(80).collect();
    let session =
        json!({"agent": agent["id"], "environment_id": environment["id"], "title": title, "resources": resources});
    let session = client.post("/v1/sessions", &session).await?;
    let id = session["id"].as_str().context("the server made a session without an id")?;
    show.note(&format!("session {id}"));
    Ok(id.to_owned())
}

/// Sends the task and shows what happens, until the session is idle. Returns why it stopped.
async fn follow(arguments: &Arguments, client: &Client, session: &str, show: &mut Show) -> anyhow::Result<String> {
    let mut stream =
        client.stream(&format!("/v1/sessions/{session}/events/stream?event_deltas[]=agent.message")).await?;
    let message = json!({"events": [{"type": "user.message", "content": [{"type": "text", "text": arguments.task}]}]});
    client.post(&format!("/v1/sessions/{session}/events"), &message).await?;
    loop {
        let wait = tokio::time::timeout(Duration::from_millis(120), stream.next());
        match wait.await {
            // Nothing for a moment: show that it is alive.
            Err(_) => show.tick(),
            Ok(event) => {
                let event = event?.context("the server closed the stream")?;
                show.event(&event);
                if event["type"] == "session.status_idle" {
                    return Ok(event["stop_reason"]["type"].as_str().unwrap_or("unknown").to_owned());
                }
            }
        }
    }
}

/// Saves what the session left. Names come from the agent: only their last part is used.
async fn download(arguments: &Arguments, client: &Client, session: &str) -> anyhow::Result<Vec<(PathBuf, u64)>> {
    let list = client.get(&format!("/v1/files?scope_id={session}&limit=1000")).await?;
    let mut saved: Vec<(PathBuf, u64)> = Vec::new();
    for file in list["data"].as_array().into_iter().flatten().filter(|file| file["downloadable"] == Value::Bool(true)) {
        let (Some(id), Some(name)) = (file["id"].as_str(), file["filename"].as_str()) else { continue };
        let name =
            name.rsplit('/').next().filter(|name| !name.is_empty() && *name != ".." && *name != ".").unwrap_or(id);
        tokio::fs::create_dir_all(&arguments.out)
            .await
            .with_context(|| format!("{} cannot be made", arguments.out.display()))?;
        let mut path = arguments.out.join(name);
        if saved.iter().any(|(other, _)| *other == path) {
            // Files of different directories may have the same name.
            path = arguments.out.join(format!("{id}-{name}"));
        }
        let size = client.download(&format!("/v1/files/{id}/content"), &path).await?;
        saved.push((path, size));
    }
    saved.sort();
    Ok(saved)
}
