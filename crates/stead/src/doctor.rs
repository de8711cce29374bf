//! `stead doctor`: which sandboxes this machine can make, and what holds in those that are configured.

mod offer;

use std::io::{self, Write};
use std::time::Duration;

use hands::gvisor::Gvisor;
use hands::namespace::{Namespace, Options, Report};
use hands::oci::{self, Runtime};
use hands::{Missing, unconfined};
use tokio::time::timeout;

use self::offer::{Found, Offer, docker, kubernetes};
use crate::config::{Config, Engine, SandboxKind};
use crate::installation::make_private;
use crate::{backends, egress};

/// For all that is found out about one backend. A trial takes a moment, or may never end.
const PATIENCE: Duration = Duration::from_secs(60);

pub(crate) async fn run(config: &Config) -> anyhow::Result<()> {
    make_private(&config.data_dir)?;
    let offers = look(config).await?;
    let mut out = io::stdout().lock();
    writeln!(out, "sandboxes  * is configured")?;
    for offer in &offers {
        write!(out, "{offer}")?;
    }
    for (name, report) in offers.iter().filter_map(Offer::configured) {
        writeln!(out, "\n{name}\n{report}")?;
    }
    drop(out);
    println!("{}", egress::report(&config.data_dir).await);
    Ok(())
}

/// All there are, one after another: trials at the same time would measure each other.
async fn look(config: &Config) -> anyhow::Result<Vec<Offer>> {
    let options = || Options { data_dir: config.data_dir.clone(), home: "doctor".into() };
    // Of an engine or a cluster only what is configured is tried.
    let away = backends::doctor(config).await?;
    let of = |kind: SandboxKind| away.clone().filter(|_| config.sandbox == kind).map(Found::Tried);

    let mut offers = vec![
        Offer::new("namespace", tried(async { Ok(Namespace::new(options()).doctor().await) }).await),
        Offer::new("gvisor", tried(async { Ok(Gvisor::find(options(), None).await?.doctor().await) }).await),
    ];
    for runtime in Runtime::ALL {
        let report = async { Ok(oci::find(options(), runtime, None).await?.doctor().await) };
        offers.push(Offer::new(name_of(runtime), tried(report).await));
    }
    offers.push(Offer::new(DOCKER, of(SandboxKind::Oci).unwrap_or_else(|| docker(config))));
    offers.push(Offer::new("kubernetes", of(SandboxKind::Kubernetes).unwrap_or_else(|| kubernetes(config))));
    offers.push(Offer::new("none", tried(async { Ok(unconfined::new(options()).doctor().await) }).await));
    mark(config, &mut offers);
    Ok(offers)
}

const DOCKER: &str = "oci/docker";

fn name_of(runtime: Runtime) -> &'static str {
    match runtime {
        Runtime::Crun => "oci/crun",
        Runtime::Runc => "oci/runc",
    }
}

async fn tried(report: impl Future<Output = Result<Report, Missing>>) -> Found {
    match timeout(PATIENCE, report).await {
        Ok(Ok(report)) => Found::Tried(report),
        Ok(Err(missing)) => Found::Missing(missing),
        Err(_) => {
            Found::Missing(Missing { why: format!("no answer within {} seconds", PATIENCE.as_secs()), fix: None })
        }
    }
}

/// Says of each whether a server with this configuration uses it. Where any runtime will do, that is the first that works.
fn mark(config: &Config, offers: &mut [Offer]) {
    let name = match (config.sandbox, config.oci.engine) {
        (SandboxKind::Namespace, _) => "namespace",
        (SandboxKind::Gvisor, _) => "gvisor",
        (SandboxKind::Oci, Engine::Crun) => name_of(Runtime::Crun),
        (SandboxKind::Oci, Engine::Runc) => name_of(Runtime::Runc),
        (SandboxKind::Oci, Engine::Docker) => DOCKER,
        (SandboxKind::Oci, Engine::Any) => {
            let mut oci = offers.iter().filter(|offer| offer.name().starts_with("oci/"));
            oci.find(|offer| offer.works()).map_or(name_of(Runtime::Crun), Offer::name)
        }
        (SandboxKind::Kubernetes, _) => "kubernetes",
        (SandboxKind::None, _) => "none",
    };
    for offer in offers {
        offer.is_configured = offer.name() == name;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn offers(crun: Found, runc: Found) -> Vec<Offer> {
        let none = || Found::Missing(Missing { why: "none".into(), fix: None });
        vec![
            Offer::new("namespace", Found::Present("there".into())),
            Offer::new("oci/crun", crun),
            Offer::new("oci/runc", runc),
            Offer::new(DOCKER, none()),
        ]
    }

    fn marked(config: &Config, mut offers: Vec<Offer>) -> Vec<&'static str> {
        mark(config, &mut offers);
        offers.iter().filter(|offer| offer.is_configured).map(Offer::name).collect()
    }

    #[test]
    fn the_first_runtime_that_works_is_the_one_where_any_will_do() {
        let (works, fails) =
            (|| Found::Present("there".into()), || Found::Missing(Missing { why: "no".into(), fix: None }));
        let mut config = Config { sandbox: SandboxKind::Oci, ..Config::default() };
        assert_eq!(marked(&config, offers(works(), works())), ["oci/crun"]);
        assert_eq!(marked(&config, offers(fails(), works())), ["oci/runc"]);
        assert_eq!(marked(&config, offers(fails(), fails())), ["oci/crun"]);
        config.oci.engine = Engine::Docker;
        assert_eq!(marked(&config, offers(works(), works())), [DOCKER]);
        assert_eq!(marked(&Config::default(), offers(works(), works())), ["namespace"]);
    }
}
