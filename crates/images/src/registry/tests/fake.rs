//! A server of the distribution protocol that does what it is told, be it to break off.

use std::{
    collections::HashMap,
    io::{BufRead, BufReader, Write},
    net::{TcpListener, TcpStream},
    sync::Arc,
    thread,
};

use parking_lot::Mutex;

use crate::{Digest, testing::Blobs};

#[derive(Debug, Clone)]
pub(super) struct Asked {
    /// With its query.
    pub(super) path: String,
    /// By names in small letters.
    pub(super) headers: HashMap<String, String>,
}

impl Asked {
    /// Where the answer is to start.
    pub(super) fn range(&self) -> Option<u64> {
        self.headers.get("range")?.strip_prefix("bytes=")?.strip_suffix('-')?.parse().ok()
    }

    pub(super) fn authorization(&self) -> Option<&str> {
        self.headers.get("authorization").map(String::as_str)
    }
}

#[derive(Debug)]
pub(super) struct Reply {
    pub(super) status: u16,
    pub(super) headers: Vec<(String, String)>,
    pub(super) body: Vec<u8>,
    /// After so many bytes of the body the connection breaks.
    pub(super) cut: Option<usize>,
}

impl Reply {
    pub(super) fn ok(body: Vec<u8>) -> Self {
        Self { status: 200, headers: Vec::new(), body, cut: None }
    }

    pub(super) fn status(status: u16) -> Self {
        Self { status, ..Self::ok(Vec::new()) }
    }

    pub(super) fn header(mut self, name: &str, value: &str) -> Self {
        self.headers.push((name.to_owned(), value.to_owned()));
        self
    }

    pub(super) fn cut(mut self, bytes: usize) -> Self {
        self.cut = Some(bytes.min(self.body.len().saturating_sub(1)));
        self
    }
}

pub(super) struct Fake {
    port: u16,
    asked: Arc<Mutex<Vec<Asked>>>,
}

impl Fake {
    pub(super) fn start(answer: impl Fn(&Asked) -> Reply + Send + Sync + 'static) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let port = listener.local_addr().unwrap().port();
        let asked: Arc<Mutex<Vec<Asked>>> = Arc::default();
        let (answer, log) = (Arc::new(answer), Arc::clone(&asked));
        thread::spawn(move || {
            for stream in listener.incoming().flatten() {
                let (answer, log) = (Arc::clone(&answer), Arc::clone(&log));
                thread::spawn(move || serve(stream, &*answer, &log));
            }
        });
        Self { port, asked }
    }

    pub(super) fn host(&self) -> String {
        format!("127.0.0.1:{}", self.port)
    }

    pub(super) fn all(&self) -> Vec<Asked> {
        self.asked.lock().clone()
    }

    pub(super) fn count(&self, path: &str) -> usize {
        self.asked.lock().iter().filter(|asked| asked.path == path).count()
    }
}

/// One request for each connection.
fn serve(mut stream: TcpStream, answer: &dyn Fn(&Asked) -> Reply, log: &Mutex<Vec<Asked>>) {
    let mut lines = BufReader::new(stream.try_clone().unwrap()).lines();
    let Some(Ok(first)) = lines.next() else { return };
    let path = first.split(' ').nth(1).unwrap().to_owned();
    let headers = lines
        .map_while(|line| line.ok().filter(|line| !line.is_empty()))
        .filter_map(|line| line.split_once(": ").map(|(name, value)| (name.to_lowercase(), value.to_owned())))
        .collect();
    let asked = Asked { path, headers };
    let reply = answer(&asked);
    log.lock().push(asked);
    let mut head = format!("HTTP/1.1 {} Said\r\ncontent-length: {}\r\n", reply.status, reply.body.len());
    for (name, value) in &reply.headers {
        head.push_str(&format!("{name}: {value}\r\n"));
    }
    head.push_str("connection: close\r\n\r\n");
    let body = &reply.body[..reply.cut.unwrap_or(reply.body.len())];
    // Whoever asked may have gone.
    let _ = stream.write_all(head.as_bytes()).and_then(|()| stream.write_all(body));
}

/// Gives what it has, whole or from where it is asked to start.
pub(super) fn serving<const N: usize>(
    blobs: Blobs,
    tags: [(&'static str, Digest); N],
) -> impl Fn(&Asked) -> Reply + Send + Sync + 'static {
    let tags = HashMap::from(tags);
    move |asked| {
        let name = asked.path.rsplit('/').next().unwrap();
        let digest = tags.get(name).cloned().or_else(|| name.parse().ok());
        let Some(bytes) = digest.and_then(|digest| blobs.0.get(&digest)) else { return Reply::status(404) };
        match asked.range() {
            None => Reply::ok(bytes.clone()),
            Some(start) => {
                let rest = bytes.get(start as usize..).unwrap_or_default().to_vec();
                let range = format!("bytes {start}-{}/{}", bytes.len() - 1, bytes.len());
                Reply { status: 206, ..Reply::ok(rest) }.header("content-range", &range)
            }
        }
    }
}
