//! Layers take room, and those that nobody needs make way.

use serde_json::json;

use super::index::{HOSTS, Index};
use super::shelves::{self, settings, wheel_path};
use super::{delete, have_pip, layers, with};
use crate::agent::{DOES, does, session};
use crate::client::Client;
use crate::place::Place;
use crate::rest::is_put_away;

/// A session over a layer of its own.
async fn over(client: &Client, version: &str) -> String {
    let session = session(client, with(json!({"pip": [format!("stead-says=={version}")]}))).await;
    assert_eq!(does(client, &session, "stead-says").await, format!("said by pip, version {version}"));
    session
}

#[tokio::test]
async fn layers_that_nobody_has_make_room_and_those_of_live_sandboxes_stay() {
    if !have_pip() {
        return;
    }
    let (place, index) = (Place::new(&[DOES]).with_config(HOSTS), Index::start().await);
    shelves::pip(&index);
    let variables = settings(&index);
    let server = place.serve_with(&variables).await;
    let live = over(&server.client, "1.0").await;
    let layer = layers(&place);
    let gone = over(&server.client, "2.0").await;
    delete(&server.client, &gone).await;
    assert!(server.terminate().await, "{}", place.log());
    assert_eq!((layers(&place).len(), layer.len()), (2, 1));

    let place = place.with_config("[environments]\nlayers_gib = 0\n");
    let server = place.serve_with(&variables).await;
    let other = over(&server.client, "3.0").await;
    assert_eq!(layers(&place).len(), 2, "one has made room");
    assert!(layers(&place).contains(&layer[0]), "and that is not the one below a live sandbox");
    let first = wheel_path("1.0");
    let look = "stead-says; python3 -c 'import stead_says; print(stead_says.__file__)' > /dev/null && echo whole";
    assert_eq!(does(&server.client, &live, look).await, "said by pip, version 1.0\nwhole");
    assert_eq!(index.heard(&first), 1);
    delete(&server.client, &other).await;
    assert!(server.terminate().await, "{}", place.log());

    // One that was put away is alive as far as that goes; and what has made room is made again when it is wanted.
    let place = place.with_config("idle_seconds = 1\n");
    let server = place.serve_with(&variables).await;
    is_put_away(&place, &live).await;
    let again = over(&server.client, "2.0").await;
    assert_eq!(index.heard(&wheel_path("2.0")), 2);
    assert_eq!((layers(&place).len(), layers(&place).contains(&layer[0])), (2, true));
    let told = does(&server.client, &live, look).await;
    assert!(told.starts_with("said by pip, version 1.0\nwhole"), "{told}");
    assert_eq!(index.heard(&first), 1);
    for session in [live, again] {
        delete(&server.client, &session).await;
    }
}
