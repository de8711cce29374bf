//! Against a daemon of our own, on the other end of a socket pair.

use hand_protocol::{Execute, Outcome, read_frame, write_frame};
use serde_json::Map;
use tokio::net::UnixStream;

use super::*;

/// The daemon's end, and the connection.
fn pair() -> (std::os::unix::net::UnixStream, Connection) {
    let (ours, theirs) = std::os::unix::net::UnixStream::pair().unwrap();
    ours.set_nonblocking(true).unwrap();
    (theirs, Connection::over(Box::new(UnixStream::from_std(ours).unwrap()), 7))
}

fn execute(call: &str) -> Verb {
    Verb::Execute(Execute { call: call.into(), tool: "bash".into(), input: Map::new() })
}

fn done(text: &str) -> Reply {
    Reply::Done { outcome: Outcome::text(text) }
}

/// Runs a daemon on a thread; the connection's end closes its socket, which ends its loop.
fn daemon(script: impl FnOnce(&mut std::os::unix::net::UnixStream) + Send + 'static) -> Connection {
    let (mut theirs, connection) = pair();
    std::thread::spawn(move || script(&mut theirs));
    connection
}

#[tokio::test]
async fn answers_find_their_questions_in_any_order() {
    let connection = daemon(|stream| {
        let first: Request = read_frame(stream).unwrap();
        let second: Request = read_frame(stream).unwrap();
        for request in [second, first] {
            let Verb::Execute(execute) = request.verb else { panic!("not a call") };
            write_frame(stream, &Answer { seq: request.seq, reply: done(&execute.call) }).unwrap();
        }
        let _ = read_frame::<Request>(stream);
    });
    let (one, two) = tokio::join!(connection.ask(execute("one")), connection.ask(execute("two")));
    assert_eq!(one.unwrap(), done("one"));
    assert_eq!(two.unwrap(), done("two"));
}

#[tokio::test]
async fn a_dropped_question_does_not_disturb_the_next() {
    let connection = daemon(|stream| {
        let slow: Request = read_frame(stream).unwrap();
        let quick: Request = read_frame(stream).unwrap();
        assert_eq!((slow.epoch, slow.verb), (7, execute("slow")));
        write_frame(stream, &Answer { seq: slow.seq, reply: done("slow") }).unwrap();
        write_frame(stream, &Answer { seq: quick.seq, reply: done("quick") }).unwrap();
        let _ = read_frame::<Request>(stream);
    });
    // Polled once, which queues the frame, and dropped.
    assert!(timeout(Duration::ZERO, connection.ask(execute("slow"))).await.is_err());
    assert_eq!(connection.ask(execute("quick")).await.unwrap(), done("quick"));
}

#[tokio::test]
async fn an_end_of_the_daemon_reaches_everybody_who_waits_and_all_who_come_later() {
    let connection = daemon(|stream| {
        read_frame::<Request>(stream).unwrap();
    });
    assert!(matches!(connection.ask(execute("one")).await, Err(Failure::Ended(_))));
    assert!(matches!(connection.ask(execute("two")).await, Err(Failure::Ended(_))));
}

#[tokio::test]
async fn a_fence_and_a_refusal_are_told_apart() {
    let connection = daemon(|stream| {
        for reply in [Reply::Fenced { epoch: 9 }, Reply::Refused { message: "no".into() }] {
            let request: Request = read_frame(stream).unwrap();
            write_frame(stream, &Answer { seq: request.seq, reply }).unwrap();
        }
        let _ = read_frame::<Request>(stream);
    });
    assert!(matches!(connection.ask(Verb::Outputs).await, Err(Failure::Lost(Lost::Fenced(9)))));
    let refused = connection.ask(Verb::Outputs).await;
    assert!(matches!(refused, Err(Failure::Lost(Lost::Refused(why))) if why == "no"));
}

#[tokio::test]
async fn an_oversized_announcement_is_no_daemon_of_ours() {
    let connection = daemon(|stream| {
        read_frame::<Request>(stream).unwrap();
        std::io::Write::write_all(stream, &u32::MAX.to_le_bytes()).unwrap();
        let _ = read_frame::<Request>(stream);
    });
    let gone = connection.ask(Verb::Outputs).await;
    assert!(matches!(gone, Err(Failure::Lost(Lost::Gone(why))) if why.contains("over the limit")));
}

#[tokio::test]
async fn what_is_no_frame_is_no_daemon_of_ours() {
    let connection = daemon(|stream| {
        read_frame::<Request>(stream).unwrap();
        std::io::Write::write_all(stream, b"\x02\0\0\0{]").unwrap();
        let _ = read_frame::<Request>(stream);
    });
    let gone = connection.ask(Verb::Outputs).await;
    assert!(matches!(gone, Err(Failure::Lost(Lost::Gone(why))) if why.contains("protocol")));
}
