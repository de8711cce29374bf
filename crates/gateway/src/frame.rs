//! Frames and what travels along with them.

use std::io::{self, IoSlice, IoSliceMut};
use std::mem::MaybeUninit;
use std::os::fd::{BorrowedFd, OwnedFd};

use rustix::cmsg_space;
use rustix::net::{
    RecvAncillaryBuffer, RecvAncillaryMessage, RecvFlags, ReturnFlags, SendAncillaryBuffer, SendAncillaryMessage,
    SendFlags, recvmsg, sendmsg,
};
use serde::Serialize;
use serde::de::DeserializeOwned;
use tokio::io::Interest;
use tokio::net::UnixStream;

/// No frame is larger, in bytes. A list of allowed hosts may be long.
const MOST: usize = 4 << 20;

/// Descriptors that travel with one frame.
const MOST_DESCRIPTORS: usize = 32;

#[derive(Debug, thiserror::Error)]
pub(crate) enum Error {
    #[error("a frame of {0} bytes is over the limit of {MOST}")]
    TooLarge(usize),
    #[error("more descriptors than the {MOST_DESCRIPTORS} that one frame may carry")]
    TooMany,
    #[error("a frame that is not of this protocol: {0}")]
    Malformed(#[from] serde_json::Error),
    #[error("the other side has closed the connection")]
    Closed,
    #[error(transparent)]
    Io(#[from] io::Error),
}

/// Not to be given up half way: the rest would be taken for a frame.
pub(crate) async fn send(
    stream: &UnixStream,
    frame: &impl Serialize,
    descriptors: &[BorrowedFd<'_>],
) -> Result<(), Error> {
    if descriptors.len() > MOST_DESCRIPTORS {
        return Err(Error::TooMany);
    }
    let body = serde_json::to_vec(frame)?;
    let announced = u32::try_from(body.len()).ok().filter(|_| body.len() <= MOST);
    let mut bytes = announced.ok_or(Error::TooLarge(body.len()))?.to_be_bytes().to_vec();
    bytes.extend_from_slice(&body);

    let mut left = bytes.as_slice();
    let mut along = descriptors;
    while !left.is_empty() {
        stream.writable().await?;
        match stream.try_io(Interest::WRITABLE, || send_some(stream, left, along)) {
            Ok(count) => {
                left = left.get(count..).unwrap_or_default();
                // They went with the first byte.
                along = &[];
            }
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => {}
            Err(error) => return Err(error.into()),
        }
    }
    Ok(())
}

fn send_some(stream: &UnixStream, bytes: &[u8], descriptors: &[BorrowedFd<'_>]) -> io::Result<usize> {
    let mut space = [MaybeUninit::uninit(); cmsg_space!(ScmRights(MOST_DESCRIPTORS))];
    let mut control = SendAncillaryBuffer::new(&mut space);
    if !descriptors.is_empty() && !control.push(SendAncillaryMessage::ScmRights(descriptors)) {
        return Err(io::Error::other("the descriptors do not fit"));
    }
    let flags = SendFlags::DONTWAIT | SendFlags::NOSIGNAL;
    Ok(sendmsg(stream, &[IoSlice::new(bytes)], &mut control, flags)?)
}

/// Takes nothing beyond the frame. Not to be given up half way either.
pub(crate) async fn receive<T: DeserializeOwned>(stream: &UnixStream) -> Result<(T, Vec<OwnedFd>), Error> {
    let mut descriptors = Vec::new();
    let mut head = [0; 4];
    fill(stream, &mut head, &mut descriptors).await?;
    let length = u32::from_be_bytes(head) as usize;
    if length > MOST {
        return Err(Error::TooLarge(length));
    }
    let mut body = vec![0; length];
    fill(stream, &mut body, &mut descriptors).await?;
    Ok((serde_json::from_slice(&body)?, descriptors))
}

async fn fill(stream: &UnixStream, mut into: &mut [u8], descriptors: &mut Vec<OwnedFd>) -> Result<(), Error> {
    while !into.is_empty() {
        stream.readable().await?;
        match stream.try_io(Interest::READABLE, || receive_some(stream, into, descriptors)) {
            Ok(0) => return Err(Error::Closed),
            Ok(count) => into = into.get_mut(count..).unwrap_or_default(),
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => {}
            Err(error) => return Err(error.into()),
        }
        if descriptors.len() > MOST_DESCRIPTORS {
            return Err(Error::TooMany);
        }
    }
    Ok(())
}

fn receive_some(stream: &UnixStream, into: &mut [u8], descriptors: &mut Vec<OwnedFd>) -> io::Result<usize> {
    let mut space = [MaybeUninit::uninit(); cmsg_space!(ScmRights(MOST_DESCRIPTORS))];
    let mut control = RecvAncillaryBuffer::new(&mut space);
    let flags = RecvFlags::DONTWAIT | RecvFlags::CMSG_CLOEXEC;
    let received = recvmsg(stream, &mut [IoSliceMut::new(into)], &mut control, flags)?;
    for message in control.drain() {
        if let RecvAncillaryMessage::ScmRights(rights) = message {
            descriptors.extend(rights);
        }
    }
    if received.flags.contains(ReturnFlags::CTRUNC) {
        return Err(io::Error::other("some descriptors did not fit"));
    }
    Ok(received.bytes)
}

#[cfg(test)]
mod tests {
    use std::fs::File;
    use std::io::{Read, Seek, Write};
    use std::os::fd::AsFd;

    use super::*;

    #[tokio::test]
    async fn frames_follow_each_other_with_their_descriptors() {
        let (ours, theirs) = UnixStream::pair().unwrap();
        let mut file = tempfile::tempfile().unwrap();
        file.write_all(b"through a socket").unwrap();
        send(&ours, &"one", &[file.as_fd(), file.as_fd()]).await.unwrap();
        send(&ours, &["two"], &[]).await.unwrap();
        let (one, descriptors) = receive::<String>(&theirs).await.unwrap();
        assert_eq!((one.as_str(), descriptors.len()), ("one", 2));
        let (two, none) = receive::<Vec<String>>(&theirs).await.unwrap();
        assert_eq!((two, none.len()), (vec!["two".to_owned()], 0));
        let mut received = File::from(descriptors.into_iter().next().unwrap());
        let mut text = String::new();
        received.rewind().unwrap();
        received.read_to_string(&mut text).unwrap();
        assert_eq!(text, "through a socket");
    }

    #[tokio::test]
    async fn a_large_frame_passes_whole_and_an_oversized_one_not_at_all() {
        let (ours, theirs) = UnixStream::pair().unwrap();
        let large = "x".repeat(MOST - 2);
        let (sent, received) = tokio::join!(send(&ours, &large, &[]), receive::<String>(&theirs));
        sent.unwrap();
        assert_eq!(received.unwrap().0.len(), large.len());
        assert!(matches!(send(&ours, &"x".repeat(MOST), &[]).await, Err(Error::TooLarge(_))));
    }

    #[tokio::test]
    async fn an_announcement_that_is_too_large_is_refused_before_it_is_read() {
        let (ours, theirs) = UnixStream::pair().unwrap();
        ours.writable().await.unwrap();
        ours.try_write(&u32::MAX.to_be_bytes()).unwrap();
        assert!(matches!(receive::<String>(&theirs).await, Err(Error::TooLarge(_))));
    }

    #[tokio::test]
    async fn a_cut_frame_is_a_closed_connection() {
        let (ours, theirs) = UnixStream::pair().unwrap();
        ours.writable().await.unwrap();
        ours.try_write(&[0, 0, 0, 9, b'"']).unwrap();
        drop(ours);
        assert!(matches!(receive::<String>(&theirs).await, Err(Error::Closed)));
    }
}
