//! `with-postgres [--nats] -- command…`: runs a command beside an empty PostgreSQL of its own, whose URL is in
//! `STEAD_DATABASE_URL`.

use std::process::{Command, ExitCode};

use testkit::{nats, postgres};

fn main() -> ExitCode {
    let mut arguments: Vec<String> = std::env::args().skip(1).collect();
    let Some(split) = arguments.iter().position(|argument| argument == "--") else {
        eprintln!("with-postgres [--nats] -- command…");
        return ExitCode::from(2);
    };
    let command = arguments.split_off(split);
    let wants_nats = arguments.iter().any(|argument| argument == "--nats");
    match run(command.get(1..).unwrap_or_default(), wants_nats) {
        Ok(code) => ExitCode::from(code),
        Err(error) => {
            eprintln!("with-postgres: {error}");
            ExitCode::FAILURE
        }
    }
}

fn run(command: &[String], wants_nats: bool) -> Result<u8, String> {
    let [program, arguments @ ..] = command else { return Err("there is no command".into()) };
    let Some(cluster) = postgres::Cluster::start()? else { return Ok(0) };
    let nats = if wants_nats { nats::Server::start()? } else { None };
    let mut command = Command::new(program);
    command.args(arguments).env("STEAD_DATABASE_URL", cluster.create_database("stead")?);
    if let Some(nats) = &nats {
        command.env("STEAD_NATS_URL", nats.url());
    }
    let status = command.status().map_err(|error| format!("{program}: {error}"))?;
    Ok(status.code().and_then(|code| u8::try_from(code).ok()).unwrap_or(1))
}
