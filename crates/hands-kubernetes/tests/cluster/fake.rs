//! A cluster that answers as the public description of the API says, and runs the commands of its pods here, each with
//! a directory in the place of its root.

use std::{collections::BTreeMap, convert::Infallible, fs, io, path::PathBuf, process::Stdio, sync::Arc};

use bytes::Bytes;
use hands_kubernetes::{Kubernetes, Options};
use http_body_util::{BodyExt, Full};
use hyper::{
    Method, Request, Response, StatusCode,
    body::Incoming,
    header::{AUTHORIZATION, CONNECTION, UPGRADE},
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
    net::TcpListener,
    process::{Child, Command},
    task::JoinHandle,
};

use crate::socket::{self, Heard};

pub(crate) const HOME: &str = "home";

/// What goes wrong, once.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Mischief {
    /// The connection breaks in the middle of a message.
    Cut,
    /// A frame is announced that nobody could hold.
    Huge,
    /// A frame is of a kind that channels do not have.
    Stray,
}

pub(crate) struct Cluster {
    pub(crate) directory: TempDir,
    port: u16,
    world: Arc<World>,
    server: JoinHandle<()>,
}

struct World {
    directory: PathBuf,
    state: Mutex<State>,
}

#[derive(Default)]
struct State {
    pods: BTreeMap<String, Pod>,
    mischief: Option<Mischief>,
    /// What the next request whose path ends like this is answered with.
    refusals: Vec<(&'static str, StatusCode, &'static str)>,
    /// Does not filter lists.
    is_careless: bool,
    /// Why containers do not start.
    waiting: Option<&'static str>,
    /// A port that pods reach.
    reached: Option<u16>,
}

struct Pod {
    wanted: Value,
    child: Option<Child>,
}

impl Cluster {
    pub(crate) async fn start() -> Self {
        let directory = tempfile::tempdir().unwrap();
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let port = listener.local_addr().unwrap().port();
        let world = Arc::new(World { directory: directory.path().to_owned(), state: Mutex::default() });
        let server = spawn(serve(listener, Arc::clone(&world)));
        let config = format!(
            "current-context: here\n\
             contexts: [{{ name: here, context: {{ cluster: one, user: me, namespace: agents }} }}]\n\
             clusters: [{{ name: one, cluster: {{ server: 'http://127.0.0.1:{port}/below' }} }}]\n\
             users: [{{ name: me, user: {{ token: secret }} }}]\n"
        );
        fs::write(directory.path().join("kubeconfig"), config).unwrap();
        Self { directory, port, world, server }
    }

    /// The backend, as a server would have it that starts now.
    pub(crate) fn kubernetes(&self) -> Kubernetes {
        let kubeconfig = Some(self.directory.path().join("kubeconfig"));
        Kubernetes::new(Options { kubeconfig, home: HOME.into(), ..Options::of("image") }).unwrap()
    }

    pub(crate) fn refuse(&self, path: &'static str, status: StatusCode, message: &'static str) {
        self.world.state.lock().refusals.push((path, status, message));
    }

    pub(crate) fn play(&self, mischief: Mischief) {
        self.world.state.lock().mischief = Some(mischief);
    }

    pub(crate) fn hold_up(&self, reason: &'static str) {
        self.world.state.lock().waiting = Some(reason);
    }

    /// Lets pods reach the cluster.
    pub(crate) fn open(&self) {
        self.world.state.lock().reached = Some(self.port);
    }

    /// A pod of somebody else's, in a cluster that does not filter.
    pub(crate) fn shelter(&self, name: &str, labels: &Value) {
        let mut state = self.world.state.lock();
        state.is_careless = true;
        let wanted = json!({ "metadata": { "name": name, "labels": labels } });
        state.pods.insert(name.into(), Pod { wanted, child: None });
    }

    pub(crate) fn names(&self) -> Vec<String> {
        self.world.state.lock().pods.keys().cloned().collect()
    }

    /// A path of the only pod.
    pub(crate) fn path(&self, path: &str) -> PathBuf {
        self.world.root(&self.names().pop().unwrap()).join(path)
    }

    /// Ends the first process of the only pod, as a daemon does that nobody needs.
    pub(crate) async fn end(&self) {
        let name = self.names().pop().unwrap();
        let child = self.world.state.lock().pods.get_mut(&name).unwrap().child.take();
        child.unwrap().kill().await.unwrap();
    }
}

impl Drop for Cluster {
    fn drop(&mut self) {
        self.server.abort();
    }
}

#[expect(clippy::disallowed_methods, reason = "named here: the server and its connections, which end with the test")]
fn spawn(task: impl Future<Output = ()> + Send + 'static) -> JoinHandle<()> {
    tokio::spawn(task)
}

async fn serve(listener: TcpListener, world: Arc<World>) {
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
    if parts.headers.get(AUTHORIZATION).is_none_or(|token| token != "Bearer secret") {
        return Ok(complaint(StatusCode::UNAUTHORIZED, "Unauthorized"));
    }
    let refusal = {
        let mut state = world.state.lock();
        let found = state.refusals.iter().position(|(end, ..)| path.ends_with(end));
        found.map(|place| state.refusals.remove(place))
    };
    if let Some((_, status, message)) = refusal {
        return Ok(complaint(status, message));
    }
    let query: Vec<(String, String)> =
        form_urlencoded::parse(parts.uri.query().unwrap_or_default().as_bytes()).into_owned().collect();
    let asked = |name: &str| -> Vec<String> {
        query.iter().filter(|(key, _)| key == name).map(|(_, value)| value.clone()).collect()
    };
    let below = path.strip_prefix("/below/api/v1/namespaces/agents/pods").unwrap().trim_start_matches('/').to_owned();
    let segments: Vec<&str> = below.split('/').filter(|part| !part.is_empty()).collect();
    Ok(match (&parts.method, segments.as_slice()) {
        (&Method::POST, []) => world.create(&body),
        (&Method::GET, []) => {
            let items = world.list(&asked("labelSelector").concat());
            said(StatusCode::OK, &json!({ "kind": "PodList", "items": items }))
        }
        (&Method::GET, [name]) => match world.list("").into_iter().find(|pod| pod["metadata"]["name"] == *name) {
            Some(pod) => said(StatusCode::OK, &pod),
            None => missing(),
        },
        (&Method::DELETE, [name]) => {
            let options: Value = serde_json::from_slice(&body).unwrap();
            assert_eq!(options["preconditions"]["uid"], format!("uid of {name}"));
            let gone = world.state.lock().pods.remove(*name);
            match gone {
                None => missing(),
                Some(pod) => {
                    if let Some(mut child) = pod.child {
                        let _ = child.kill().await;
                    }
                    let _ = fs::remove_dir_all(world.root(name));
                    said(StatusCode::OK, &json!({ "kind": "Status", "status": "Success" }))
                }
            }
        }
        (&Method::GET, [name, "exec"]) => {
            let header = |name: &str| parts.headers.get(name).unwrap().to_str().unwrap().to_owned();
            assert_eq!((header("upgrade"), header("sec-websocket-version")), ("websocket".into(), "13".into()));
            assert!(header("sec-websocket-protocol").contains("v5.channel.k8s.io"));
            assert_eq!(asked("container"), ["hand"]);
            let command = world.here(name, &asked("command"));
            let world = Arc::clone(&world);
            spawn(async move {
                let _ = world.execute(command, TokioIo::new(upgrade.await.unwrap())).await;
            });
            let answer = Response::builder().status(StatusCode::SWITCHING_PROTOCOLS);
            let answer = answer.header(CONNECTION, "Upgrade").header(UPGRADE, "websocket");
            let answer = answer.header("sec-websocket-accept", socket::accepted(&header("sec-websocket-key")));
            answer.header("sec-websocket-protocol", "v5.channel.k8s.io").body(Full::default()).unwrap()
        }
        (method, _) => panic!("{method} {path} is not of this cluster"),
    })
}

fn said(status: StatusCode, body: &Value) -> Answer {
    Response::builder().status(status).body(Full::from(body.to_string())).unwrap()
}

fn complaint(status: StatusCode, message: &str) -> Answer {
    said(status, &json!({ "kind": "Status", "status": "Failure", "message": message, "code": status.as_u16() }))
}

fn missing() -> Answer {
    complaint(StatusCode::NOT_FOUND, "pods not found")
}

impl World {
    fn root(&self, name: &str) -> PathBuf {
        self.directory.join(name)
    }

    fn list(&self, selector: &str) -> Vec<Value> {
        let mut state = self.state.lock();
        let (is_careless, waiting) = (state.is_careless, state.waiting);
        let pods = state.pods.values_mut().filter_map(|pod| {
            let labels = &pod.wanted["metadata"]["labels"];
            let has = |label: &str| label.split_once('=').is_some_and(|(name, value)| labels[name] == value);
            if !is_careless && !selector.is_empty() && !selector.split(',').all(has) {
                return None;
            }
            let name = pod.wanted["metadata"]["name"].as_str().unwrap().to_owned();
            let is_alive = pod.child.as_mut().is_some_and(|child| child.try_wait().unwrap().is_none());
            let (phase, container) = match waiting {
                Some(reason) => ("Pending", json!({ "waiting": { "reason": reason, "message": "so it is" } })),
                None if is_alive => ("Running", json!({ "running": {} })),
                None => ("Failed", json!({ "terminated": { "exitCode": 0 } })),
            };
            let status = json!({ "phase": phase, "containerStatuses": [{ "name": "hand", "state": container }] });
            let mut shown = pod.wanted.clone();
            shown["metadata"]["uid"] = format!("uid of {name}").into();
            shown["status"] = status;
            Some(shown)
        });
        pods.collect()
    }

    fn create(&self, body: &[u8]) -> Answer {
        let wanted: Value = serde_json::from_slice(body).unwrap();
        let name = wanted["metadata"]["name"].as_str().unwrap().to_owned();
        let container = &wanted["spec"]["containers"][0];
        for mount in container["volumeMounts"].as_array().unwrap() {
            let path = mount["mountPath"].as_str().unwrap().trim_start_matches('/');
            fs::create_dir_all(self.root(&name).join(path)).unwrap();
        }
        let command: Vec<String> = serde_json::from_value(container["command"].clone()).unwrap();
        let mut command = self.here(&name, &command);
        command.env_clear().env("PATH", "/usr/local/bin:/usr/bin:/bin");
        for variable in container["env"].as_array().unwrap() {
            command.env(variable["name"].as_str().unwrap(), variable["value"].as_str().unwrap());
        }
        let mut state = self.state.lock();
        // Nobody listens on the first port.
        let port = state.reached.unwrap_or(1).to_string();
        command.envs([("KUBERNETES_SERVICE_HOST", "127.0.0.1"), ("KUBERNETES_SERVICE_PORT", port.as_str())]);
        command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::inherit());
        let child = command.spawn().unwrap();
        let shown = json!({ "metadata": { "name": name, "uid": format!("uid of {name}") } });
        state.pods.insert(name, Pod { wanted, child: Some(child) });
        said(StatusCode::CREATED, &shown)
    }

    /// The command with this pod's directory in the place of its root.
    fn here(&self, name: &str, command: &[String]) -> Command {
        let root = self.root(name);
        let place = |path: &str| root.join(path).to_string_lossy().into_owned();
        let command: Vec<String> = command
            .iter()
            .map(|part| part.replace("/.stead", &place(".stead")).replace("/mnt/session", &place("mnt/session")))
            .collect();
        let mut here = Command::new(&command[0]);
        here.args(&command[1..]).current_dir(&root).kill_on_drop(true);
        here
    }

    async fn execute(&self, mut command: Command, stream: TokioIo<Upgraded>) -> io::Result<()> {
        command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::inherit());
        let mut child = loop {
            match command.spawn() {
                // Another test has just forked, with this file open for writing.
                Err(error) if error.kind() == io::ErrorKind::ExecutableFileBusy => tokio::task::yield_now().await,
                child => break child?,
            }
        };
        let (mut from, mut to) = tokio::io::split(stream);
        let (mut input, mut output) = (child.stdin.take().unwrap(), child.stdout.take().unwrap());
        let listens = async move {
            loop {
                match socket::hear(&mut from).await {
                    Ok(Heard::Input(bytes)) => {
                        if input.write_all(&bytes).await.is_err() {
                            break;
                        }
                    }
                    Ok(Heard::Other) => {}
                    Ok(Heard::End) | Err(_) => break,
                }
            }
            drop(input);
            std::future::pending::<()>().await;
        };
        let speaks = async {
            // Each channel begins with nothing, and what a pod says besides must not be taken for the daemon.
            for channel in 1..=3 {
                to.write_all(&socket::frame(0x82, &[channel])).await?;
            }
            to.write_all(&socket::message(2, b"a warning")).await?;
            let mut piece = [0; 4_096];
            loop {
                let read = output.read(&mut piece).await?;
                if read == 0 {
                    return Ok(true);
                }
                let whole = socket::message(1, &piece[..read]);
                let mischief = self.state.lock().mischief.take();
                match mischief {
                    None => to.write_all(&whole).await?,
                    Some(Mischief::Cut) => {
                        to.write_all(&whole[..whole.len() / 2]).await?;
                        return Ok(false);
                    }
                    Some(Mischief::Huge) => to.write_all(&[0x82, 127, 127, 255, 255, 255, 255, 255, 255, 255]).await?,
                    Some(Mischief::Stray) => to.write_all(&socket::frame(0x81, b"text")).await?,
                }
            }
        };
        let is_over: io::Result<bool> = tokio::select! {
            spoken = speaks => spoken,
            () = listens => Ok(false),
        };
        // Its input is closed by now.
        let ended = child.wait().await?;
        if is_over? {
            let status = if ended.success() {
                json!({ "metadata": {}, "status": "Success" })
            } else {
                json!({ "status": "Failure", "message": format!("command terminated: {ended}") })
            };
            to.write_all(&socket::message(3, status.to_string().as_bytes())).await?;
            to.write_all(&socket::frame(0x88, &1_000_u16.to_be_bytes())).await?;
        }
        to.shutdown().await
    }
}
