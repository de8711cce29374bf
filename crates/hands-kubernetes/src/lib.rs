//! Sandboxes that are pods of a Kubernetes cluster, with a runtime class of the operator's choice below them.
//!
//! A pod is made of the operator's image, which needs `sh`, `head`, `chmod` and `mv`, and bash for a persistent shell
//! worth the name. `handd` is brought into it by `exec`, over the WebSocket form of the API, and becomes the
//! container's first process. A connection to it is an `exec` of `handd relay`. The journal lives in the pod and dies
//! with it.
//!
//! **Verified against fake clusters only.** The tests speak to a server of their own that follows the public
//! description of the API, without TLS; no pod of a real cluster has been seen by them.
//!
//! A pod has whatever network the cluster gives it. So that it has none, the operator applies a policy, which a trial
//! then finds at work; without it no sandbox is made, unless the operator says that the cluster's own policy is to
//! hold:
//!
//! ```yaml
//! apiVersion: networking.k8s.io/v1
//! kind: NetworkPolicy
//! metadata: { name: stead-sandboxes }
//! spec:
//!   podSelector: { matchLabels: { app.kubernetes.io/managed-by: stead } }
//!   policyTypes: [Ingress, Egress]
//! ```
//!
//! The server's account needs, in that namespace: `create`, `get`, `list`, `delete` on `pods`, and `create`, `get` on
//! `pods/exec`.
//!
//! The client is our own: five requests over `reqwest`, and the few frames of a WebSocket that `exec` uses. `kube` with
//! `k8s-openapi` brings types for the whole API, to compile and to keep up with, of which one is needed here; and what
//! `reqwest` upgrades to is a stream already, so that of a WebSocket library only the frames would be left. Kubeconfigs
//! that need a program to get a token are refused by name; `kube` would run it.

mod access;
mod api;
mod channels;
mod frame;
mod kubernetes;
mod pod;
mod report;
mod shared;

pub use kubernetes::{Kubernetes, Options, Way};
