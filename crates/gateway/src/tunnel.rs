//! Bytes both ways, unread, until both sides have ended or nothing moves any more.

use std::io;

use tokio::io::copy_bidirectional_with_sizes;

use crate::connection::Connection;
use crate::stream::{BoxedStream, Stream};

/// Bytes on their way, in each direction of one connection.
const BUFFER: usize = 16 << 10;

/// One side may end while the other goes on: the end is passed on, as the program would have seen it.
pub(crate) async fn carry(
    connection: &Connection,
    client: &mut impl Stream,
    upstream: &mut BoxedStream,
) -> io::Result<()> {
    let idle = connection.terms().limits.idle();
    tokio::select! {
        copied = copy_bidirectional_with_sizes(client, upstream, BUFFER, BUFFER) => copied.map(|_| ()),
        () = connection.pulse.has_stopped(idle) => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use tokio::io::{AsyncReadExt, AsyncWriteExt, duplex};
    use tokio::time::{Instant, sleep};

    use super::*;
    use crate::bench::Bench;
    use crate::stream::Beating;

    #[tokio::test(start_paused = true)]
    async fn a_tunnel_on_which_nothing_moves_is_closed() {
        let connection = Bench::unrestricted().connection();
        let (mut program, client) = duplex(64);
        let (upstream, _host) = duplex(64);
        let mut client = Beating::new(client, connection.pulse.clone());
        let mut upstream: BoxedStream = Box::new(upstream);
        let began = Instant::now();
        let words = async {
            for _ in 0..3 {
                sleep(Duration::from_secs(500)).await;
                program.write_all(b"word").await.unwrap();
            }
            std::future::pending::<()>().await;
        };
        tokio::select! {
            carried = carry(&connection, &mut client, &mut upstream) => carried.unwrap(),
            () = words => {}
        }
        assert_eq!(began.elapsed().as_secs(), 1_500 + 600);
    }

    #[tokio::test]
    async fn one_side_may_end_before_the_other() {
        let connection = Bench::unrestricted().connection();
        let (mut program, mut client) = duplex(64);
        let (upstream, mut host) = duplex(64);
        let mut upstream: BoxedStream = Box::new(upstream);
        let talk = async {
            program.write_all(b"question").await.unwrap();
            program.shutdown().await.unwrap();
            let mut question = String::new();
            host.read_to_string(&mut question).await.unwrap();
            assert_eq!(question, "question");
            host.write_all(b"answer").await.unwrap();
            host.shutdown().await.unwrap();
            let mut answer = String::new();
            program.read_to_string(&mut answer).await.unwrap();
            assert_eq!(answer, "answer");
        };
        let (carried, ()) = tokio::join!(carry(&connection, &mut client, &mut upstream), talk);
        carried.unwrap();
    }
}
