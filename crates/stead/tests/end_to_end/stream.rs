//! A session's live stream, frame by frame.

use reqwest::Response;
use serde_json::Value;

use crate::client::PATIENCE;

pub(crate) struct Stream {
    response: Response,
    /// What has come of the next frames.
    bytes: Vec<u8>,
}

#[derive(Debug, Clone)]
pub(crate) struct Frame {
    /// None for what is in no log.
    pub(crate) position: Option<u64>,
    pub(crate) event: String,
    pub(crate) data: Value,
}

impl Stream {
    pub(crate) fn new(response: Response) -> Self {
        Self { response, bytes: Vec::new() }
    }

    /// The next one that says something; none once the stream has ended, however that came.
    pub(crate) async fn next(&mut self) -> Option<Frame> {
        loop {
            while let Some(frame) = self.take() {
                if frame.event != "ping" {
                    return Some(frame);
                }
            }
            let chunk = self.response.chunk().await.ok()??;
            self.bytes.extend_from_slice(&chunk);
        }
    }

    fn take(&mut self) -> Option<Frame> {
        let end = self.bytes.windows(2).position(|pair| pair == b"\n\n")? + 2;
        let frame = String::from_utf8(self.bytes.drain(..end).collect()).unwrap();
        let field = |name: &str| {
            let mut lines = frame.lines();
            lines.find_map(|line| line.strip_prefix(name)?.strip_prefix(": ").map(str::to_owned))
        };
        Some(Frame {
            position: field("id").map(|id| id.parse().unwrap()),
            event: field("event").unwrap(),
            data: serde_json::from_str(&field("data").unwrap()).unwrap(),
        })
    }

    /// All frames up to the first of this event.
    pub(crate) async fn until(&mut self, event: &str) -> Vec<Frame> {
        let mut frames = Vec::new();
        let gather = async {
            while let Some(frame) = self.next().await {
                let is_last = frame.event == event;
                frames.push(frame);
                if is_last {
                    return true;
                }
            }
            false
        };
        let found = tokio::time::timeout(PATIENCE, gather).await.unwrap_or(false);
        assert!(found, "there is no {event} in {frames:#?}");
        frames
    }
}
