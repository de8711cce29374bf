//! The server's side.

use std::fs::File;
use std::os::fd::BorrowedFd;
use std::path::{Path, PathBuf};
use std::time::Duration;

use secrecy::SecretString;
use tokio::net::UnixStream;
use tokio::sync::Mutex;
use tokio::time::{sleep, timeout};
use vault::{Place, Sealed};

use super::message::{Answer, Attach, Exposed, Fault, Listed, PROTOCOL, Request, agreed};
use super::watch::Watch;
use super::way;
use crate::frame::{self, receive, send};
use crate::{KeyNames, Policy, Settings, SocketKind, Usage};

/// How long to wait before each attempt. Together they outlast the start of a gateway.
const PAUSES: &[Duration] =
    &[Duration::ZERO, Duration::from_millis(100), Duration::from_millis(500), Duration::from_secs(2)];

/// A connection that was kept may be to a gateway that has ended: the second attempt is with a new one.
const NO_PAUSES: &[Duration] = &[Duration::ZERO, Duration::ZERO];

/// For what takes no time but for a busy machine.
const PATIENCE: Duration = Duration::from_secs(10);

const SILENT: &str = "it does not answer";

#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// Nobody answers. What was asked may have been done.
    #[error("the gateway cannot be reached: {0}")]
    Unreachable(String),
    /// The gateway says no. Nothing of what was asked was done.
    #[error("the gateway refuses: {0}")]
    Refused(String),
    /// It speaks another version, or is no gateway.
    #[error("the gateway does not follow the protocol")]
    Confused,
}

/// Why nothing was done with a secret.
#[derive(Debug, thiserror::Error)]
pub enum KeyError {
    #[error(transparent)]
    Control(#[from] Error),
    #[error("{message}")]
    Faulty { fault: Fault, message: String },
}

/// A gateway, reached by its directory. A connection that breaks is made again, and what was asked is asked again:
/// every request may be repeated.
pub struct Client {
    directory: PathBuf,
    pauses: &'static [Duration],
    /// For one question.
    patience: Duration,
    /// None while a question is under way, so that one that is given up takes its connection with it.
    connection: Mutex<Option<UnixStream>>,
}

impl Client {
    /// Connects when something is asked.
    pub fn new(directory: &Path) -> Self {
        Self { directory: directory.to_owned(), pauses: PAUSES, patience: PATIENCE, connection: Mutex::new(None) }
    }

    /// Waits for no gateway that may be about to start: where nobody is there, it says so at once.
    pub fn impatient(directory: &Path) -> Self {
        Self { pauses: NO_PAUSES, ..Self::new(directory) }
    }

    /// For questions about keys, which may be at a provider far away.
    pub fn patient(directory: &Path) -> Self {
        Self { patience: 3 * PATIENCE, ..Self::new(directory) }
    }

    /// Tries once whether a gateway is there that speaks this protocol, and tells later when it is no more.
    pub async fn watch(&self) -> Result<Watch, Error> {
        match timeout(PATIENCE, self.connect()).await {
            Ok(Ok(stream)) => Ok(Watch::new(stream)),
            Ok(Err(Failure::Final(error))) => Err(error),
            Ok(Err(Failure::Broken(error))) => Err(Error::Unreachable(error.to_string())),
            Err(_) => Err(Error::Unreachable(SILENT.into())),
        }
    }

    /// Has the gateway serve a sandbox, or one that it serves already under these terms; `sockets` take the place of
    /// those that it has, and none of them leaves those as they are. The list in `attach` is not looked at.
    pub async fn attach(&self, attach: Attach, sockets: &[(SocketKind, BorrowedFd<'_>)]) -> Result<(), Error> {
        let (kinds, descriptors): (Vec<_>, Vec<_>) = sockets.iter().copied().unzip();
        self.order(&Request::Attach(Attach { sockets: kinds, ..attach }), &descriptors).await
    }

    /// Replaces what a sandbox may reach.
    pub async fn update(&self, sandbox: &str, policy: Policy) -> Result<(), Error> {
        self.order(&Request::Update { sandbox: sandbox.into(), policy }, &[]).await
    }

    /// Ends all its connections. No error if it is not served.
    pub async fn detach(&self, sandbox: &str) -> Result<(), Error> {
        self.order(&Request::Detach { sandbox: sandbox.into() }, &[]).await
    }

    pub async fn list(&self) -> Result<Vec<Listed>, Error> {
        match self.ask(&Request::List, &[]).await? {
            Answer::List { sandboxes } => Ok(sandboxes),
            _ => Err(Error::Confused),
        }
    }

    /// Replaces what holds for the whole installation.
    pub async fn settings(&self, settings: Settings) -> Result<(), Error> {
        self.order(&Request::Settings { settings }, &[]).await
    }

    pub async fn usage(&self, sandbox: &str) -> Result<Usage, Error> {
        match self.ask(&Request::Usage { sandbox: sandbox.into() }, &[]).await? {
            Answer::Usage { usage } => Ok(usage),
            _ => Err(Error::Confused),
        }
    }

    pub async fn key_names(&self) -> Result<KeyNames, KeyError> {
        match self.ask_keys(&Request::KeyNames).await? {
            Answer::KeyNames { names } => Ok(names),
            _ => Err(Error::Confused.into()),
        }
    }

    /// Has the first key made, unless there is one.
    pub async fn generate_key(&self) -> Result<(), KeyError> {
        match self.ask_keys(&Request::GenerateKey).await? {
            Answer::Done => Ok(()),
            _ => Err(Error::Confused.into()),
        }
    }

    /// Has a key made that seals from now on. Not to be asked again without a look at the names: it may have been done.
    pub async fn rotate_key(&self) -> Result<String, KeyError> {
        match self.ask_keys(&Request::RotateKey).await? {
            Answer::Key { name } => Ok(name),
            _ => Err(Error::Confused.into()),
        }
    }

    pub async fn seal(&self, place: &Place, secret: &SecretString) -> Result<Sealed, KeyError> {
        let request = Request::Seal { place: place.clone(), secret: Exposed(secret.clone()) };
        match self.ask_keys(&request).await? {
            Answer::Sealed { sealed } => Ok(sealed),
            _ => Err(Error::Confused.into()),
        }
    }

    /// The same secret under the key that seals now. None if it is already.
    pub async fn rewrap(&self, place: &Place, sealed: &Sealed) -> Result<Option<Sealed>, KeyError> {
        match self.ask_keys(&Request::Rewrap { place: place.clone(), sealed: sealed.clone() }).await? {
            Answer::Sealed { sealed } => Ok(Some(sealed)),
            Answer::Done => Ok(None),
            _ => Err(Error::Confused.into()),
        }
    }

    /// Whether it opens in its place.
    pub async fn check(&self, place: &Place, sealed: &Sealed) -> Result<(), KeyError> {
        match self.ask_keys(&Request::Check { place: place.clone(), sealed: sealed.clone() }).await? {
            Answer::Done => Ok(()),
            _ => Err(Error::Confused.into()),
        }
    }

    async fn ask_keys(&self, request: &Request) -> Result<Answer, KeyError> {
        match self.ask(request, &[]).await? {
            Answer::Faulty { fault, message } => Err(KeyError::Faulty { fault, message }),
            answer => Ok(answer),
        }
    }

    /// Ends the gateway, and with it every sandbox's way out.
    pub async fn stop(&self) -> Result<(), Error> {
        self.order(&Request::Stop, &[]).await
    }

    async fn order(&self, request: &Request, descriptors: &[BorrowedFd<'_>]) -> Result<(), Error> {
        match self.ask(request, descriptors).await? {
            Answer::Done => Ok(()),
            _ => Err(Error::Confused),
        }
    }

    async fn ask(&self, request: &Request, descriptors: &[BorrowedFd<'_>]) -> Result<Answer, Error> {
        let mut connection = self.connection.lock().await;
        let mut why = String::new();
        for pause in self.pauses {
            sleep(*pause).await;
            let asked = async {
                let stream = match connection.take() {
                    Some(stream) => stream,
                    None => self.connect().await?,
                };
                let answer = exchange(&stream, request, descriptors).await?;
                Ok::<_, Failure>((stream, answer))
            };
            why = match timeout(self.patience, asked).await {
                Ok(Ok((stream, answer))) => {
                    *connection = Some(stream);
                    return match answer {
                        Answer::Refused { message } => Err(Error::Refused(message)),
                        answer => Ok(answer),
                    };
                }
                Ok(Err(Failure::Final(error))) => return Err(error),
                Ok(Err(Failure::Broken(error))) => error.to_string(),
                Err(_) => SILENT.into(),
            };
        }
        Err(Error::Unreachable(why))
    }

    async fn connect(&self) -> Result<UnixStream, Failure> {
        let directory = File::open(&self.directory).map_err(frame::Error::Io)?;
        let stream = UnixStream::connect(way(&directory)).await.map_err(frame::Error::Io)?;
        match exchange(&stream, &Request::Hello { protocol: PROTOCOL }, &[]).await? {
            Answer::Welcome { protocol } if agreed(protocol) == Some(protocol) => Ok(stream),
            Answer::Refused { message } => Err(Failure::Final(Error::Refused(message))),
            _ => Err(Failure::Final(Error::Confused)),
        }
    }
}

/// Why an attempt has no answer.
enum Failure {
    /// Another attempt may have one.
    Broken(frame::Error),
    Final(Error),
}

impl From<frame::Error> for Failure {
    fn from(error: frame::Error) -> Self {
        match error {
            frame::Error::TooLarge(_) | frame::Error::TooMany => Self::Final(Error::Refused(error.to_string())),
            frame::Error::Malformed(_) => Self::Final(Error::Confused),
            error => Self::Broken(error),
        }
    }
}

async fn exchange(
    stream: &UnixStream,
    request: &Request,
    descriptors: &[BorrowedFd<'_>],
) -> Result<Answer, frame::Error> {
    send(stream, request, descriptors).await?;
    Ok(receive::<Answer>(stream).await?.0)
}
