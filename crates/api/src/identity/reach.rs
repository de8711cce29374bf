//! What a request is after, as far as credentials of workers go.

use axum::http::Method;

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Reach<'a> {
    Work {
        environment: &'a str,
        work: Option<&'a str>,
        act: Act,
    },
    /// Reading a session, and sending it results.
    Session(&'a str),
    Else,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Act {
    Poll,
    List,
    Stats,
    Ack,
    Heartbeat,
    Stop,
    /// Retrieving an item, and updating its metadata.
    Item,
}

impl Act {
    /// Whether it is for workers alone.
    pub(super) const fn is_workers(self) -> bool {
        matches!(self, Self::Poll | Self::List | Self::Ack | Self::Heartbeat)
    }

    /// Whether the token of the item is good for it, also once the item has ended: so its worker learns of that.
    pub(super) const fn is_items(self) -> bool {
        matches!(self, Self::Ack | Self::Heartbeat | Self::Stop)
    }
}

/// Whatever is not named here is for the API key alone. The path is taken as it was sent: one that is spelled in another
/// way, such as with escapes, is something else.
pub(super) fn reach<'a>(method: &Method, path: &'a str) -> Reach<'a> {
    let Some(path) = path.strip_prefix("/v1/") else { return Reach::Else };
    let parts: Vec<&str> = path.split('/').collect();
    let (get, post) = (method == Method::GET, method == Method::POST);
    let work = |environment, work, act| Reach::Work { environment, work, act };
    match parts[..] {
        ["environments", environment, "work"] if get => work(environment, None, Act::List),
        ["environments", environment, "work", "poll"] if get => work(environment, None, Act::Poll),
        ["environments", environment, "work", "stats"] if get => work(environment, None, Act::Stats),
        ["environments", environment, "work", id] if get || post => work(environment, Some(id), Act::Item),
        ["environments", environment, "work", id, "ack"] if post => work(environment, Some(id), Act::Ack),
        ["environments", environment, "work", id, "heartbeat"] if post => work(environment, Some(id), Act::Heartbeat),
        ["environments", environment, "work", id, "stop"] if post => work(environment, Some(id), Act::Stop),
        ["sessions", id] if get => Reach::Session(id),
        ["sessions", id, "events"] if get || post => Reach::Session(id),
        ["sessions", id, "events", "stream"] | ["sessions", id, "stream"] if get => Reach::Session(id),
        _ => Reach::Else,
    }
}
