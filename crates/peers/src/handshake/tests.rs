use tokio::io::{AsyncReadExt, DuplexStream, duplex};

use super::*;

fn pair() -> (DuplexStream, DuplexStream) {
    duplex(16 << 10)
}

fn secret(of: &str) -> Secret {
    Secret::new(of)
}

#[tokio::test]
async fn who_knows_the_secret_gets_in_and_is_known_by_name() {
    let (mut near, mut far) = pair();
    let secret = secret("ours");
    let (called, answered) = tokio::join!(call(&mut near, &secret, "one", "two"), answer(&mut far, &secret, "two"));
    called.unwrap();
    assert_eq!(answered.unwrap(), "one");
}

#[tokio::test]
async fn a_stranger_gets_a_challenge_and_nothing_else() {
    let (mut near, mut far) = pair();
    let listening = async {
        let answered = answer(&mut far, &secret("ours"), "two").await;
        drop(far);
        answered
    };
    let knocking = async {
        let challenge: Challenge = frame::read(&mut near, MOST_OF_STRANGERS).await.unwrap();
        let statement = Statement { from: "one", to: "two", challenge: &challenge.nonce, nonce: &[7; 32] };
        let proof = secret("theirs").prove(&statement.by_caller());
        let claim = Claim { from: "one".into(), to: "two".into(), nonce: [7; 32], proof };
        frame::write(&mut near, &claim).await.unwrap();
        let mut rest = Vec::new();
        near.read_to_end(&mut rest).await.unwrap();
        rest
    };
    let (answered, rest) = tokio::join!(listening, knocking);
    assert!(matches!(answered, Err(Error::Stranger)));
    assert!(rest.is_empty());
}

#[tokio::test]
async fn a_stranger_who_answers_is_told_nothing_more() {
    let (mut near, mut far) = pair();
    let answering = async {
        frame::write(&mut far, &Challenge { nonce: [1; 32] }).await.unwrap();
        let _claim: Claim = frame::read(&mut far, MOST_OF_STRANGERS).await.unwrap();
        frame::write(&mut far, &Welcome { proof: [2; 32] }).await.unwrap();
    };
    let secret = secret("ours");
    let (called, ()) = tokio::join!(call(&mut near, &secret, "one", "two"), answering);
    assert!(matches!(called, Err(Error::Stranger)));
}

#[tokio::test]
async fn a_callers_own_proof_sent_back_proves_nothing() {
    let (mut near, mut far) = pair();
    let echoing = async {
        frame::write(&mut far, &Challenge { nonce: [1; 32] }).await.unwrap();
        let claim: Claim = frame::read(&mut far, MOST_OF_STRANGERS).await.unwrap();
        frame::write(&mut far, &Welcome { proof: claim.proof }).await.unwrap();
    };
    let secret = secret("ours");
    let (called, ()) = tokio::join!(call(&mut near, &secret, "one", "two"), echoing);
    assert!(matches!(called, Err(Error::Stranger)));
}

#[tokio::test]
async fn whoever_was_meant_for_another_node_is_sent_away() {
    let (mut near, mut far) = pair();
    let secret = secret("ours");
    let listening = async {
        let answered = answer(&mut far, &secret, "three").await;
        drop(far);
        answered
    };
    let (called, answered) = tokio::join!(call(&mut near, &secret, "one", "two"), listening);
    assert!(matches!(called, Err(Error::Frame(_))));
    assert!(matches!(answered, Err(Error::Misdirected(to)) if to == "two"));
}

#[tokio::test]
async fn a_stranger_cannot_announce_much() {
    let (mut near, mut far) = pair();
    let secret = secret("ours");
    let knocking = async {
        let _challenge: Challenge = frame::read(&mut near, MOST_OF_STRANGERS).await.unwrap();
        let announced = (MOST_OF_STRANGERS as u32 + 1).to_le_bytes();
        tokio::io::AsyncWriteExt::write_all(&mut near, &announced).await.unwrap();
    };
    let (answered, ()) = tokio::join!(answer(&mut far, &secret, "two"), knocking);
    assert!(matches!(answered, Err(Error::Frame(frame::Error::TooLarge { .. }))));
}
