//! An index at a private address, as companies have them.

use std::net::{IpAddr, UdpSocket};

use serde_json::json;

use super::index::Index;
use super::shelves::{self, settings};
use super::{delete, have_pip};
use crate::agent::{DOES, does, session};
use crate::place::{Place, skipped};

/// This machine's own address, if nobody outside could have it.
fn own() -> Option<IpAddr> {
    let socket = UdpSocket::bind("0.0.0.0:0").unwrap();
    // Nothing is sent: this tells which address would be.
    let address = socket.connect("192.0.2.1:9").and_then(|()| socket.local_addr()).ok()?.ip();
    let is_private = matches!(address, IpAddr::V4(address) if address.is_private() || address.is_documentation());
    if !is_private {
        skipped("this machine has no private address");
    }
    is_private.then_some(address)
}

#[tokio::test]
async fn an_index_at_a_private_address_is_open_to_builds_and_to_those_who_may_have_packages() {
    let Some(address) = own().filter(|_| have_pip()) else { return };
    // Here no word of the operator's opens anything: that package managers use it is enough.
    let place = Place::new(&[DOES]);
    let index = Index::at(address, &address.to_string()).await;
    shelves::pip(&index);
    let server = place.serve_with(&settings(&index)).await;
    let page = index.url("/simple/stead-says/");
    let ask = format!("curl -sS -m 20 -o /dev/null -w '%{{http_code}}' {page} 2>&1; true");
    let packages = json!({"pip": ["stead-says"]});
    for (networking, packages, is_open) in [
        (json!({"type": "unrestricted"}), packages.clone(), true),
        (json!({"type": "limited", "allow_package_managers": true}), packages, true),
        (json!({"type": "limited", "allow_package_managers": false}), json!({}), false),
    ] {
        let config = json!({"type": "cloud", "networking": networking, "packages": packages});
        let session = session(&server.client, config).await;
        if packages != json!({}) {
            assert_eq!(does(&server.client, &session, "stead-says").await, "said by pip, version 3.0");
        }
        let told = does(&server.client, &session, &ask).await;
        assert_eq!(told == "200", is_open, "{networking}: {told}");
        delete(&server.client, &session).await;
    }
}
