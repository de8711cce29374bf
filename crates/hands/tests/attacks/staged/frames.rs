//! A daemon that has been taken over: it answers the host with whatever it likes, and the host believes none of it.

use std::{sync::Arc, time::Duration};

use async_trait::async_trait;
use hand_protocol::{Answer, Entry, MAX_FRAME, Reply, Request, VERSION, Verb};
use hands::{Address, BoxedStream, Dial, Execute, Hand, Lost, Outcome as Done, attach};
use parking_lot::Mutex;
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt, DuplexStream, duplex},
    task::JoinSet,
    time::timeout,
};

use super::{Outcome, refused, row, shown};
use crate::report::Row;

/// To refuse takes no time; a large frame takes some.
const PATIENCE: Duration = Duration::from_secs(20);

/// What the host asks for, at most.
const LENGTH: u64 = 10;

/// What the daemon sends in answer, after a greeting that is as it should be.
type Lie = fn(&Request) -> Vec<u8>;

#[derive(Clone, Copy)]
enum Asked {
    Execute,
    Look,
    Outputs,
    Fetch,
}

const LIES: &[(&str, &str, Asked, Lie)] = &[
    ("announced_size", "Announces a frame larger than any.", Asked::Execute, |_| u32::MAX.to_le_bytes().to_vec()),
    ("cut_frame", "Ends in the midst of a frame.", Asked::Execute, |_| {
        [100_u32.to_le_bytes().as_slice(), b"{\"seq\":".as_slice()].concat()
    }),
    ("nesting", "Nests as deep as a frame is long.", Asked::Outputs, |_| frame(&vec![b'['; MAX_FRAME])),
    ("no_text", "Sends what is no text.", Asked::Execute, |_| frame(&[0xff; 1_000])),
    ("no_answer", "Sends text that is no answer.", Asked::Execute, |_| frame(b"{\"reply\":\"done\"}")),
    ("other_answer", "Answers another question than it was asked.", Asked::Execute, |asked| {
        answer(asked.seq, Reply::Ok)
    }),
    ("too_few_found", "Tells of fewer calls than it was asked for.", Asked::Look, |asked| {
        answer(asked.seq, Reply::Journal { found: Vec::new() })
    }),
    ("climbing_entry", "Lists an output that lies elsewhere on the host.", Asked::Outputs, |asked| {
        entries(asked.seq, "../../../etc/passwd")
    }),
    ("absolute_entry", "Lists an output by its path on the host.", Asked::Outputs, |asked| {
        entries(asked.seq, "/etc/passwd")
    }),
    ("nameless_entry", "Lists an output without a name.", Asked::Outputs, |asked| entries(asked.seq, "")),
    ("long_piece", "Sends more of a file than was asked for.", Asked::Fetch, |asked| {
        answer(asked.seq, Reply::Chunk { data: "QUFBQUFBQUFBQUE=".into(), eof: true })
    }),
    ("spoilt_piece", "Sends a piece of a file that cannot be decoded.", Asked::Fetch, |asked| {
        answer(asked.seq, Reply::Chunk { data: "~~~~".into(), eof: true })
    }),
];

pub(super) async fn act() -> Vec<Row> {
    let mut rows = vec![
        row("frames", "faithful", "Answers as it should, for lies to differ from it.", faithful().await),
        row("frames", "unasked_answers", "Answers ten thousand questions that nobody asked.", unasked().await),
        row("frames", "other_incarnation", "Takes the place of the daemon that was there.", successor().await),
    ];
    for (name, tries, asked, lie) in LIES {
        rows.push(row("frames", name, tries, refuted(*asked, *lie).await));
    }
    rows
}

async fn refuted(asked: Asked, lie: Lie) -> Outcome {
    match ask(asked, lie).await? {
        Ok(believed) => Err(format!("believed: {believed}")),
        Err(lost) => refused(lost.to_string()),
    }
}

async fn faithful() -> Outcome {
    let honest: Lie = |asked| answer(asked.seq, Reply::Done { outcome: Done::text("true") });
    match ask(Asked::Execute, honest).await? {
        Ok(believed) if believed.contains("true") => shown("it is believed", believed),
        other => Err(format!("it is not believed: {other:?}")),
    }
}

async fn unasked() -> Outcome {
    let flood: Lie = |asked| {
        let mut sent = Vec::new();
        for other in 0..10_000 {
            sent.extend(answer(asked.seq + 1 + other, Reply::Done { outcome: Done::text("false") }));
        }
        sent.extend(answer(asked.seq, Reply::Done { outcome: Done::text("true") }));
        sent
    };
    match ask(Asked::Execute, flood).await? {
        Ok(believed) if believed.contains("true") => refused("only the answer to what was asked counts"),
        other => Err(format!("{other:?}")),
    }
}

async fn successor() -> Outcome {
    let liar = Arc::new(Liar { lie: |asked| answer(asked.seq, Reply::Ok), met: Mutex::default() });
    let expected = Address { incarnation: "another".into(), ..address() };
    match timeout(PATIENCE, attach(liar, expected, 1)).await {
        Ok(Ok(_)) => Err("it is taken for the one that was there".into()),
        Ok(Err(lost)) => refused(lost.to_string()),
        Err(_) => Err("it is waited for".into()),
    }
}

/// What becomes of one question to a daemon that lies.
async fn ask(asked: Asked, lie: Lie) -> Result<Result<String, Lost>, String> {
    let liar = Arc::new(Liar { lie, met: Mutex::default() });
    let asking = async {
        let hand = attach(liar, address(), 1).await?;
        question(&*hand, asked).await
    };
    timeout(PATIENCE, asking).await.map_err(|_| "its answer is waited for".to_owned())
}

async fn question(hand: &dyn Hand, asked: Asked) -> Result<String, Lost> {
    match asked {
        Asked::Execute => {
            let call = Execute { call: "one".into(), tool: "bash".into(), input: serde_json::Map::new() };
            hand.execute(call).await.map(|outcome| format!("{outcome:?}"))
        }
        Asked::Look => hand.look(vec!["one".into(), "two".into()]).await.map(|found| format!("{found:?}")),
        Asked::Outputs => hand.outputs().await.map(|listed| format!("{listed:?}")),
        Asked::Fetch => hand.fetch("file", 0, LENGTH).await.map(|piece| format!("{piece:?}")),
    }
}

fn address() -> Address {
    Address { backend: "liar".into(), directory: "hands/liar".into(), incarnation: "liar".into(), home: None }
}

/// Met once: whoever breaks off with it finds nobody there any more.
struct Liar {
    lie: Lie,
    met: Mutex<JoinSet<()>>,
}

#[async_trait]
impl Dial for Liar {
    async fn dial(&self) -> Result<BoxedStream, Lost> {
        let mut met = self.met.lock();
        if !met.is_empty() {
            return Err(Lost::Gone("it has left".into()));
        }
        let (near, far) = duplex(64 << 10);
        met.spawn(speak(far, self.lie));
        Ok(Box::new(near))
    }
}

/// Greets, lies to every question, and ends with the stream.
async fn speak(mut stream: DuplexStream, lie: Lie) {
    loop {
        let mut length = [0; 4];
        if stream.read_exact(&mut length).await.is_err() {
            return;
        }
        let mut body = vec![0; u32::from_le_bytes(length) as usize];
        if stream.read_exact(&mut body).await.is_err() {
            return;
        }
        let asked: Request = serde_json::from_slice(&body).unwrap();
        let (sent, is_last) = match asked.verb {
            Verb::Hello { .. } => {
                let welcome = Reply::Welcome { version: VERSION, incarnation: "liar".into() };
                (answer(asked.seq, welcome), false)
            }
            _ => (lie(&asked), true),
        };
        // Whoever has heard enough does not listen to the end.
        if stream.write_all(&sent).await.is_err() || is_last {
            return;
        }
    }
}

fn answer(seq: u64, reply: Reply) -> Vec<u8> {
    frame(&serde_json::to_vec(&Answer { seq, reply }).unwrap())
}

fn entries(seq: u64, path: &str) -> Vec<u8> {
    answer(seq, Reply::Entries { entries: vec![Entry { path: path.into(), size: 1, modified: 1 }], truncated: false })
}

fn frame(body: &[u8]) -> Vec<u8> {
    let length = u32::try_from(body.len()).unwrap();
    [length.to_le_bytes().as_slice(), body].concat()
}
