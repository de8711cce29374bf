//! An engine that answers as the public description of the API says, and runs the commands of its containers here, each
//! with a directory in the place of its root.

use std::{collections::BTreeMap, convert::Infallible, fs, path::PathBuf, process::Stdio, sync::Arc};

use bytes::Bytes;
use hands_docker::{Docker, Options};
use http_body_util::{BodyExt, Full};
use hyper::{
    Method, Request, Response, StatusCode,
    body::Incoming,
    header::{CONNECTION, UPGRADE},
    server::conn::http1,
    service::service_fn,
    upgrade::Upgraded,
};
use hyper_util::rt::TokioIo;
use parking_lot::Mutex;
use serde_json::{Value, json};
use tempfile::TempDir;
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::UnixListener,
    process::{Child, Command},
    task::JoinHandle,
};

pub(crate) const HOME: &str = "home";

/// What goes wrong, once.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Mischief {
    /// The connection breaks in the middle of a frame.
    Cut,
    /// A frame is announced that nobody could hold.
    Huge,
    /// The frame is of a stream that does not exist.
    Stray,
}

pub(crate) struct Engine {
    pub(crate) directory: TempDir,
    world: Arc<World>,
    server: JoinHandle<()>,
}

struct World {
    directory: PathBuf,
    state: Mutex<State>,
}

#[derive(Default)]
struct State {
    made: usize,
    containers: BTreeMap<String, Container>,
    commands: BTreeMap<String, Executed>,
    mischief: Option<Mischief>,
    /// What the next request whose path ends like this is answered with.
    refusals: Vec<(&'static str, StatusCode, &'static str)>,
    /// Does not filter lists.
    is_careless: bool,
}

struct Container {
    wanted: Value,
    child: Option<Child>,
}

struct Executed {
    container: String,
    command: Vec<String>,
    code: Option<i32>,
}

impl Engine {
    pub(crate) fn start() -> Self {
        let directory = tempfile::tempdir().unwrap();
        let listener = UnixListener::bind(directory.path().join("engine.sock")).unwrap();
        let world = Arc::new(World { directory: directory.path().to_owned(), state: Mutex::default() });
        let server = spawn(serve(listener, Arc::clone(&world)));
        Self { directory, world, server }
    }

    /// The backend, as a server would have it that starts now.
    pub(crate) fn docker(&self) -> Docker {
        let socket = self.directory.path().join("engine.sock");
        Docker::new(Options { home: HOME.into(), ..Options::of(socket, "image", self.directory.path()) })
    }

    pub(crate) fn refuse(&self, path: &'static str, status: StatusCode, message: &'static str) {
        self.world.state.lock().refusals.push((path, status, message));
    }

    pub(crate) fn play(&self, mischief: Mischief) {
        self.world.state.lock().mischief = Some(mischief);
    }

    /// A container of somebody else's, in an engine that does not filter.
    pub(crate) fn shelter(&self, id: &str, labels: &Value) {
        let mut state = self.world.state.lock();
        state.is_careless = true;
        state.containers.insert(id.into(), Container { wanted: json!({ "Labels": labels }), child: None });
    }

    pub(crate) fn ids(&self) -> Vec<String> {
        self.world.state.lock().containers.keys().cloned().collect()
    }

    /// What the only container was made from.
    pub(crate) fn wanted(&self) -> Value {
        self.world.state.lock().containers.values().next().unwrap().wanted.clone()
    }

    /// A path of the only container.
    pub(crate) fn path(&self, path: &str) -> PathBuf {
        let id = self.ids().pop().unwrap();
        self.world.root(&id).join(path)
    }

    /// Ends the first process of the only container, as a daemon does that nobody needs.
    pub(crate) async fn end(&self) {
        let id = self.ids().pop().unwrap();
        let child = self.world.state.lock().containers.get_mut(&id).unwrap().child.take();
        child.unwrap().kill().await.unwrap();
    }
}

impl Drop for Engine {
    fn drop(&mut self) {
        self.server.abort();
    }
}

#[expect(
    clippy::disallowed_methods,
    reason = "named here: the engine's server and its connections, which end with the test"
)]
fn spawn(task: impl Future<Output = ()> + Send + 'static) -> JoinHandle<()> {
    tokio::spawn(task)
}

async fn serve(listener: UnixListener, world: Arc<World>) {
    while let Ok((stream, _)) = listener.accept().await {
        let world = Arc::clone(&world);
        spawn(async move {
            let answer = service_fn(move |request| answer(Arc::clone(&world), request));
            let _ = http1::Builder::new().serve_connection(TokioIo::new(stream), answer).with_upgrades().await;
        });
    }
}

type Answer = Response<Full<Bytes>>;

async fn answer(world: Arc<World>, mut request: Request<Incoming>) -> Result<Answer, Infallible> {
    let upgrade = hyper::upgrade::on(&mut request);
    let (parts, body) = request.into_parts();
    let body = body.collect().await.unwrap().to_bytes();
    let path = parts.uri.path().to_owned();
    let query: BTreeMap<String, String> =
        form_urlencoded::parse(parts.uri.query().unwrap_or_default().as_bytes()).into_owned().collect();
    let refusal = {
        let mut state = world.state.lock();
        let found = state.refusals.iter().position(|(end, ..)| path.ends_with(end));
        found.map(|place| state.refusals.remove(place))
    };
    if let Some((_, status, message)) = refusal {
        return Ok(complaint(status, message));
    }
    let segments: Vec<&str> = path.trim_matches('/').split('/').collect();
    Ok(match (&parts.method, segments.as_slice()) {
        (&Method::GET, ["containers", "json"]) => said(StatusCode::OK, &world.list(&query["filters"])),
        (&Method::POST, ["containers", "create"]) => said(StatusCode::CREATED, &world.create(&body)),
        (&Method::GET, ["containers", id, "json"]) => world.about(id, |_| json!({ "State": { "Status": "exited" } })),
        (&Method::POST, ["containers", id, "start"]) => {
            world.begin(id);
            Response::builder().status(StatusCode::NO_CONTENT).body(Full::default()).unwrap()
        }
        (&Method::PUT, ["containers", id, "archive"]) => {
            let place = world.root(id).join(query["path"].trim_start_matches('/'));
            fs::create_dir_all(&place).unwrap();
            tar::Archive::new(&*body).unpack(place).unwrap();
            Response::new(Full::default())
        }
        (&Method::GET, ["containers", id, "archive"]) => {
            let file = world.root(id).join(query["path"].trim_start_matches('/'));
            if file.exists() {
                let mut archive = tar::Builder::new(Vec::new());
                archive.append_path_with_name(&file, file.file_name().unwrap()).unwrap();
                Response::new(Full::from(archive.into_inner().unwrap()))
            } else {
                complaint(StatusCode::NOT_FOUND, "Could not find the file")
            }
        }
        (&Method::POST, ["containers", id, "exec"]) => world.command(id, &body),
        (&Method::POST, ["exec", id, "start"]) => {
            assert_eq!(parts.headers.get(UPGRADE).unwrap(), "tcp");
            let (world, id) = (Arc::clone(&world), (*id).to_owned());
            spawn(async move { world.execute(&id, TokioIo::new(upgrade.await.unwrap())).await });
            let answer = Response::builder().status(StatusCode::SWITCHING_PROTOCOLS);
            answer.header(CONNECTION, "Upgrade").header(UPGRADE, "tcp").body(Full::default()).unwrap()
        }
        (&Method::GET, ["exec", id, "json"]) => {
            let code = world.state.lock().commands[*id].code;
            said(StatusCode::OK, &json!({ "ExitCode": code, "Running": code.is_none() }))
        }
        (&Method::DELETE, ["containers", id]) => {
            let gone = world.state.lock().containers.remove(*id);
            match gone {
                None => complaint(StatusCode::NOT_FOUND, "No such container"),
                Some(container) => {
                    if let Some(mut child) = container.child {
                        let _ = child.kill().await;
                    }
                    let _ = fs::remove_dir_all(world.root(id));
                    Response::builder().status(StatusCode::NO_CONTENT).body(Full::default()).unwrap()
                }
            }
        }
        (method, _) => panic!("{method} {path} is not of this engine"),
    })
}

fn said(status: StatusCode, body: &Value) -> Answer {
    Response::builder().status(status).body(Full::from(body.to_string())).unwrap()
}

fn complaint(status: StatusCode, message: &str) -> Answer {
    said(status, &json!({ "message": message }))
}

impl World {
    fn root(&self, id: &str) -> PathBuf {
        self.directory.join(id)
    }

    fn list(&self, filters: &str) -> Value {
        let filters: Value = serde_json::from_str(filters).unwrap();
        let mut state = self.state.lock();
        let is_careless = state.is_careless;
        let listed = state.containers.iter_mut().filter_map(|(id, container)| {
            let labels = container.wanted["Labels"].clone();
            let has = |label: &Value| {
                let (name, value) = label.as_str().unwrap().split_once('=').unwrap();
                labels[name] == value
            };
            if !is_careless && !filters["label"].as_array().unwrap().iter().all(has) {
                return None;
            }
            let is_alive = container.child.as_mut().is_some_and(|child| child.try_wait().unwrap().is_none());
            let state = if is_alive { "running" } else { "exited" };
            Some(json!({ "Id": id, "Labels": labels, "State": state }))
        });
        Value::Array(listed.collect())
    }

    fn create(&self, body: &[u8]) -> Value {
        let wanted: Value = serde_json::from_slice(body).unwrap();
        let mut state = self.state.lock();
        state.made += 1;
        let id = format!("c{}", state.made);
        fs::create_dir(self.root(&id)).unwrap();
        state.containers.insert(id.clone(), Container { wanted, child: None });
        json!({ "Id": id, "Warnings": [] })
    }

    fn about(&self, id: &str, say: impl Fn(&Container) -> Value) -> Answer {
        match self.state.lock().containers.get(id) {
            Some(container) => said(StatusCode::OK, &say(container)),
            None => complaint(StatusCode::NOT_FOUND, "No such container"),
        }
    }

    fn begin(&self, id: &str) {
        let mut state = self.state.lock();
        let container = state.containers.get_mut(id).unwrap();
        let strings = |list: &Value| -> Vec<String> { serde_json::from_value(list.clone()).unwrap() };
        let mut command = self.here(id, &strings(&container.wanted["Entrypoint"]));
        let environment = strings(&container.wanted["Env"]);
        command.env_clear().envs(environment.iter().map(|pair| pair.split_once('=').unwrap()));
        command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::inherit());
        container.child = Some(loop {
            match command.spawn() {
                // Another test has just forked, with this file open for writing.
                Err(error) if error.kind() == std::io::ErrorKind::ExecutableFileBusy => std::thread::yield_now(),
                child => break child.unwrap(),
            }
        });
    }

    /// The command with this container's directory in the place of its root.
    fn here(&self, id: &str, command: &[String]) -> Command {
        let root = self.root(id);
        let place = |path: &str| root.join(path).to_string_lossy().into_owned();
        let command: Vec<String> = command
            .iter()
            .map(|part| part.replace("/.stead", &place(".stead")).replace("/mnt/session", &place("mnt/session")))
            .collect();
        let mut here = Command::new(&command[0]);
        here.args(&command[1..]).current_dir(&root).kill_on_drop(true);
        here
    }

    fn command(&self, id: &str, body: &[u8]) -> Answer {
        let wanted: Value = serde_json::from_slice(body).unwrap();
        let mut state = self.state.lock();
        if !state.containers.contains_key(id) {
            return complaint(StatusCode::NOT_FOUND, "No such container");
        }
        assert_eq!(wanted["User"], "0:0");
        let command = serde_json::from_value(wanted["Cmd"].clone()).unwrap();
        let name = format!("e{}", state.commands.len());
        state.commands.insert(name.clone(), Executed { container: id.into(), command, code: None });
        said(StatusCode::CREATED, &json!({ "Id": name }))
    }

    async fn execute(&self, id: &str, stream: TokioIo<Upgraded>) {
        let mut command = {
            let state = self.state.lock();
            let executed = &state.commands[id];
            self.here(&executed.container, &executed.command)
        };
        command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::inherit());
        let mut child = command.spawn().unwrap();
        let (mut from, mut to) = tokio::io::split(stream);
        let (mut input, mut output) = (child.stdin.take().unwrap(), child.stdout.take().unwrap());
        let listens = async move {
            let _ = tokio::io::copy(&mut from, &mut input).await;
            drop(input);
            std::future::pending::<()>().await;
        };
        let speaks = async {
            // What a container says besides must not be taken for the daemon.
            to.write_all(&frame(2, b"a warning")).await?;
            let mut piece = [0; 4_096];
            loop {
                let read = output.read(&mut piece).await?;
                if read == 0 {
                    return to.shutdown().await;
                }
                let whole = frame(1, &piece[..read]);
                let mischief = self.state.lock().mischief.take();
                match mischief {
                    None => to.write_all(&whole).await?,
                    Some(Mischief::Cut) => {
                        to.write_all(&whole[..whole.len() / 2]).await?;
                        return to.shutdown().await;
                    }
                    Some(Mischief::Huge) => to.write_all(&[1, 0, 0, 0, 255, 255, 255, 255]).await?,
                    Some(Mischief::Stray) => to.write_all(&[9, 0, 0, 0, 0, 0, 0, 1, 0]).await?,
                }
            }
        };
        let _: std::io::Result<()> = tokio::select! {
            spoken = speaks => spoken,
            () = listens => Ok(()),
        };
        // Its input is closed by now. As with real engines, the stream may end a moment before this is known.
        let code = child.wait().await.unwrap().code();
        if let Some(executed) = self.state.lock().commands.get_mut(id) {
            executed.code = code;
        }
    }
}

fn frame(stream: u8, piece: &[u8]) -> Vec<u8> {
    let length = u32::try_from(piece.len()).unwrap().to_be_bytes();
    [&[stream, 0, 0, 0], &length[..], piece].concat()
}
