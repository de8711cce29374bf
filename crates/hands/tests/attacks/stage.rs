//! Everything that is there while attacks run: the house, its residents, the sandbox next door.

use std::{
    fs,
    net::{Ipv4Addr, UdpSocket},
    os::fd::AsFd,
    path::{Path, PathBuf},
    time::Duration,
};

use hands::Limits;
use rustix::{
    io::{FdFlags, fcntl_setfd},
    process::{Resource, Rlimit, setrlimit},
};
use serde_json::{Value, json};
use tokio::sync::Mutex;

use crate::{
    attack::{Attack, source},
    guest,
    house::{House, LIMITS, SMALL, random, token},
    resident::Resident,
    room::{LONG, PLACE, Room},
    snapshot::Snapshot,
    verdict::Verdict,
};

/// Where the gateway will take requests, once there is one.
const GATEWAY: u16 = 3_128;

/// What a tool says at most, in characters.
const MOST: usize = 100_000;

pub(crate) struct Stage {
    pub(crate) house: House,
    pub(crate) host: Resident,
    /// A gateway that does whatever it is asked, for the controls.
    pub(crate) careless: Resident,
    pub(crate) neighbour: Room,
    /// What the neighbour's resident said.
    pub(crate) planted: Value,
    /// Of this machine, and of what it reaches the rest of the world through.
    addresses: Vec<String>,
    before: Mutex<Option<Snapshot>>,
}

impl Stage {
    /// `planted` is the token in this process's environment.
    pub(crate) async fn set(planted: &str) -> Self {
        let house = House::new(planted.rsplit('-').next().unwrap()).await;
        leak(&house);
        let (token, name) = (house.token("host"), format!("host-{}", random()));
        let place = house.directory("resident").display().to_string();
        let environment = [("RESIDENT_TOKEN", &*token), ("RESIDENT_NAME", &*name), ("RESIDENT_DIRECTORY", &*place)];
        let host = Resident::start("resident.py", &environment).await;
        let careless = Resident::start("careless.py", &[]).await;
        let neighbour = Room::open(&house, "neighbour", LIMITS).await;
        let planted = move_in(&neighbour, &house.secret).await;
        let stage =
            Self { house, host, careless, neighbour, planted, addresses: addresses(), before: Mutex::new(None) };
        stage.neighbour.furnish(&stage.inside(&stage.neighbour)).await.unwrap();
        stage
    }

    /// What the programs in a sandbox are told.
    pub(crate) fn inside(&self, room: &Room) -> Value {
        let hands = [room, &self.neighbour].map(|room| room.hand.address().directory.display().to_string());
        let mut given = self.given();
        given["control"] = json!(false);
        given["search"] = json!("/");
        given["upload"] = json!("/mnt/session/uploads/input.txt");
        given["scratch"] = json!("/workspace/scratch");
        given["gateway"] = json!(GATEWAY);
        given["hands"] = json!(hands);
        given["refusals"] = json!(guest::refusals());
        given
    }

    /// What a control on the host is told, which has a directory of its own to work in.
    pub(crate) fn outside(&self, own: &Path) -> Value {
        let mut given = self.given();
        given["control"] = json!(true);
        given["search"] = json!(self.house.place.path());
        given["upload"] = json!(own.join("uploads/input.txt"));
        given["scratch"] = json!(own.join("scratch"));
        given["gateway"] = self.careless.said.clone();
        given["hands"] = json!([self.neighbour.hand.address().directory]);
        given
    }

    fn given(&self) -> Value {
        json!({
            "host": self.host.said,
            "neighbour": self.planted,
            "data": self.house.data,
            "marker": self.house.marker,
            "addresses": self.addresses,
            "allowance": SMALL.memory + SMALL.disk,
            // Names that nobody can have.
            "allowed": "allowed.test",
            "rebinding": "rebinding.test",
        })
    }

    /// Opens a sandbox with all that programs need.
    pub(crate) async fn room(&self, name: &str, limits: Limits) -> Room {
        let room = Room::open(&self.house, name, limits).await;
        room.furnish(&self.inside(&room)).await.unwrap();
        room
    }

    /// Puts a program into a sandbox, runs it, and judges it by what it said and by what the host saw.
    pub(crate) async fn attack(&self, room: &Room, attack: &Attack) -> Verdict {
        let ran = async {
            room.put(attack).await?;
            room.python(&attack.file(), LONG).await
        };
        let verdict = match ran.await {
            Err(why) if guest::all_ended(&why) => Verdict::Held("everything inside was ended".into()),
            Err(why) => Verdict::Broke(why),
            Ok(output) => match self.fault(&output) {
                Some(fault) => Verdict::Broke(fault),
                None if attack.is_silent => Verdict::Held("the next call is answered".into()),
                None => guest::weighed(&attack.title(), Verdict::of(&output)),
            },
        };
        self.judge(room, verdict).await
    }

    /// What is wrong with an output, whatever it says of itself.
    fn fault(&self, output: &str) -> Option<String> {
        if output.contains(&self.house.secret) {
            return Some("a token is in its output".into());
        }
        let length = output.chars().count();
        (length > MOST).then(|| format!("its output has {length} characters"))
    }

    /// Takes nobody's word for it: the host is as it was, nobody came there, and the session goes on.
    pub(crate) async fn judge(&self, room: &Room, verdict: Verdict) -> Verdict {
        // Asked for in any case, so that the next attack is not blamed for this one.
        let (contacts, changed) = (self.host.contacts().await, self.changed().await);
        if let Verdict::Broke(_) = verdict {
            return verdict;
        }
        if !contacts.is_empty() {
            return Verdict::Broke(format!("this attack, or one beside it, reached the host: {}", contacts.join(", ")));
        }
        if !changed.is_empty() {
            return Verdict::Broke(format!("this attack, or one beside it, changed the host: {}", changed.join(", ")));
        }
        match room.goes_on().await {
            Ok(()) => verdict,
            Err(why) => Verdict::Broke(why),
        }
    }

    /// What of the host differs from the last time that this was asked.
    pub(crate) async fn changed(&self) -> Vec<String> {
        let mut canaries = self.house.canaries();
        for name in ["file", "shared_file"] {
            canaries.extend(self.host.said[name].as_str().map(PathBuf::from));
        }
        let mut before = self.before.lock().await;
        let now = Snapshot::take(&canaries, self.host.pid());
        let changed = before.as_ref().map(|before| before.differences(&now)).unwrap_or_default();
        *before = Some(now);
        changed
    }

    /// Ends all of it. What a sandbox ran must have ended with it.
    pub(crate) async fn strike(self) -> Vec<String> {
        self.house.clear().await;
        self.careless.leave().await;
        self.host.leave().await;
        left_behind()
    }
}

/// What a careless server passes on: an open file, and its right to be urgent where it has that.
fn leak(house: &House) {
    let file = fs::File::open(house.data.join("api_key")).unwrap();
    fcntl_setfd(file.as_fd(), FdFlags::empty()).unwrap();
    // Open for as long as this process lives.
    std::mem::forget(file);
    for (resource, most) in [(Resource::Rtprio, 50), (Resource::Nice, 30)] {
        // An ordinary user may not raise them.
        let _ = setrlimit(resource, Rlimit { current: Some(most), maximum: Some(most) });
    }
}

/// Starts a resident in the sandbox next door, and returns what it says.
async fn move_in(neighbour: &Room, secret: &str) -> Value {
    neighbour.write("resident.py", &source("resident.py")).await.unwrap();
    let environment = format!(
        "RESIDENT_TOKEN={} RESIDENT_DIRECTORY=/workspace RESIDENT_NAME=next-{}",
        token("neighbour", secret),
        random()
    );
    // It stays for as long as its input is open.
    let start = format!(
        "cd {PLACE}; (sleep 1000 | {environment} setsid python3 {PLACE}/resident.py > said.json) \
         > /dev/null 2>&1 < /dev/null &\n\
         for i in {{1..200}}; do test -s said.json && break; sleep 0.05; done; cat said.json"
    );
    let said = neighbour.bash(&start, Duration::from_secs(20)).await.unwrap();
    serde_json::from_str(&said).unwrap_or_else(|error| panic!("{error}: {said}"))
}

/// Found without sending anything: a datagram socket only has to choose its way.
fn addresses() -> Vec<String> {
    let own = UdpSocket::bind("0.0.0.0:0").and_then(|socket| {
        socket.connect("192.0.2.1:9")?;
        socket.local_addr()
    });
    let routes = fs::read_to_string("/proc/net/route").unwrap_or_default();
    let gateways = routes.lines().filter_map(|line| {
        let mut fields = line.split_ascii_whitespace().skip(1);
        let (to, by) = (fields.next()?, fields.next()?);
        let by = u32::from_str_radix(by, 16).ok().filter(|by| *by != 0 && to == "00000000")?;
        Some(Ipv4Addr::from(by.to_ne_bytes()).to_string())
    });
    own.ok().map(|own| own.ip().to_string()).into_iter().chain(gateways).collect()
}

/// Processes on this machine that run a program of a sandbox.
fn left_behind() -> Vec<String> {
    let processes = fs::read_dir("/proc").unwrap().flatten();
    let line = |path: PathBuf| fs::read(path.join("cmdline")).map(|line| String::from_utf8_lossy(&line).into_owned());
    let lines = processes.filter_map(|process| line(process.path()).ok());
    lines.filter(|line| line.contains(PLACE)).map(|line| line.replace('\0', " ")).collect()
}
