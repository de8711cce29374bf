//! Control groups: how the kernel itself bounds a sandbox's memory, processes and processor time, where this server may
//! make them.

use std::{
    fs, io,
    path::{Path, PathBuf},
    thread,
    time::Duration,
};

use rustix::fs::{Access, access};

use crate::Limits;

/// Below a hierarchy's root, so that an operator sees at once whose these are.
const PARENT: &str = "stead";

/// The launcher's own processes come and go within the sandbox's group before the limit inside can count.
const LAUNCHER: u64 = 8;

/// Microseconds within which the processes have their share of the processors. Once they have had it, they wait for the
/// next.
const PERIOD: u64 = 100_000;
/// Less the kernel does not take.
const LEAST_QUOTA: u64 = 1_000;

/// What this machine has.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Groups {
    /// Version 1, a hierarchy for each controller.
    Split {
        memory: PathBuf,
        pids: Option<PathBuf>,
        cpu: Option<PathBuf>,
    },
    /// Version 2, one for all. It bounds memory and processes, and with `cpu` processors too.
    Unified {
        parent: PathBuf,
        cpu: bool,
    },
    Unavailable,
}

impl Groups {
    /// Looks for hierarchies this server may write in, and makes its own parent group there.
    pub(super) fn find() -> Self {
        let mounts = fs::read_to_string("/proc/self/mounts").unwrap_or_default();
        let own = fs::read_to_string("/proc/self/cgroup").unwrap_or_default();
        let parent = |controller| {
            let parent = split(&mounts, controller)?.join(PARENT);
            ours(parent)
        };
        if let Some(memory) = parent("memory") {
            return Self::Split { memory, pids: parent("pids"), cpu: parent("cpu") };
        }
        let Some(root) = unified(&mounts) else { return Self::Unavailable };
        // At the root if that is ours, as on a host; else below the group that a service manager has delegated to us.
        let delegated = own.lines().find_map(|line| line.strip_prefix("0::/")).map(|path| root.join(path));
        let places = [Some(root.clone()), delegated];
        places.into_iter().flatten().find_map(|place| enable(&place)).unwrap_or(Self::Unavailable)
    }

    /// Whether they bound how much of the processors a sandbox has.
    pub(super) fn bound_cpu(&self) -> bool {
        match self {
            Self::Split { cpu, .. } => cpu.is_some(),
            Self::Unified { cpu, .. } => *cpu,
            Self::Unavailable => false,
        }
    }

    /// A group in each hierarchy, with its limits set. Empty where there are no control groups.
    pub(super) fn make(&self, name: &str, limits: &Limits) -> io::Result<Vec<PathBuf>> {
        let made = match self {
            Self::Split { memory, pids, cpu } => {
                // Joining a group costs time, and this one would do nothing.
                let cpu = cpu.as_ref().filter(|_| limits.cpus > 0);
                [Some(memory), pids.as_ref(), cpu].into_iter().flatten().map(|parent| parent.join(name)).collect()
            }
            Self::Unified { parent, .. } => vec![parent.join(name)],
            Self::Unavailable => Vec::new(),
        };
        match made.iter().try_for_each(|group| set(group, limits)) {
            Ok(()) => Ok(made),
            Err(error) => {
                let _ = remove(&made);
                Err(error)
            }
        }
    }
}

/// The directory, made if need be, if we may make groups in it. One that another user's server made is not ours.
fn ours(parent: PathBuf) -> Option<PathBuf> {
    fs::create_dir_all(&parent).ok()?;
    access(&parent, Access::WRITE_OK).ok().map(|()| parent)
}

/// Files in the writable layer are memory too, and the kernel counts them here: the two limits add up. That the processes
/// alone stay within theirs is the watchdog's task.
fn set(group: &Path, limits: &Limits) -> io::Result<()> {
    fs::create_dir_all(group)?;
    let memory = limits.memory.saturating_add(limits.disk).to_string();
    let write = |file: &str, value: &str| fs::write(group.join(file), value);
    if group.join("memory.limit_in_bytes").exists() {
        write("memory.limit_in_bytes", &memory)?;
        // Not every kernel counts swap. Where it is counted, nothing may be pushed out there.
        let _ = write("memory.memsw.limit_in_bytes", &memory);
        let _ = write("memory.swappiness", "0");
    }
    if group.join("memory.max").exists() {
        write("memory.max", &memory)?;
        let _ = write("memory.swap.max", "0");
    }
    if group.join("pids.max").exists() {
        write("pids.max", &limits.processes.saturating_add(LAUNCHER).to_string())?;
    }
    let Some(quota) = quota(limits.cpus) else { return Ok(()) };
    if group.join("cpu.cfs_quota_us").exists() {
        write("cpu.cfs_period_us", &PERIOD.to_string())?;
        match write("cpu.cfs_quota_us", &quota.to_string()) {
            // More than the whole of this hierarchy may have, as in a container that is bounded itself.
            Err(error) if error.kind() == io::ErrorKind::InvalidInput => {}
            written => written?,
        }
    }
    if group.join("cpu.max").exists() {
        write("cpu.max", &format!("{quota} {PERIOD}"))?;
    }
    Ok(())
}

/// Microseconds of each period, over all processors. None: as many as there are. `cpus` are thousandths of one.
fn quota(cpus: u64) -> Option<u64> {
    (cpus > 0).then(|| cpus.saturating_mul(PERIOD / 1_000).max(LEAST_QUOTA))
}

/// The file through which a process of one thread joins. Version 1 has one for a single thread, and for that the kernel does
/// not have to wait until no process anywhere forks, which takes it ten milliseconds and more.
pub(super) fn entrance(group: &Path) -> PathBuf {
    let tasks = group.join("tasks");
    if tasks.exists() { tasks } else { group.join("cgroup.procs") }
}

/// Bytes of the processes' own memory, from the one group that counts it.
pub(super) fn resident(groups: &[PathBuf]) -> Option<u64> {
    groups.iter().find_map(|group| parse(&fs::read_to_string(group.join("memory.stat")).ok()?))
}

/// How many processes the kernel has ended for want of memory.
pub(super) fn ended(groups: &[PathBuf]) -> u64 {
    let counters = groups.iter().flat_map(|group| ["memory.events", "memory.oom_control"].map(|file| group.join(file)));
    counters.filter_map(|file| fs::read_to_string(file).ok()).find_map(|text| killed(&text)).unwrap_or(0)
}

/// Every process in the groups, as this server sees it.
pub(super) fn processes(groups: &[PathBuf]) -> Vec<i32> {
    let list = groups.iter().find_map(|group| fs::read_to_string(group.join("cgroup.procs")).ok()).unwrap_or_default();
    list.lines().filter_map(|line| line.parse().ok()).filter(|pid| *pid > 0).collect()
}

/// Takes the groups away. A process that has just been killed keeps its group for a moment.
pub(super) fn remove(groups: &[PathBuf]) -> io::Result<()> {
    for group in groups {
        for attempt in 0.. {
            match fs::remove_dir(group) {
                Err(error) if error.kind() == io::ErrorKind::ResourceBusy && attempt < 200 => {
                    thread::sleep(Duration::from_millis(5));
                }
                Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
                _ => break,
            }
        }
    }
    Ok(())
}

fn parse(statistics: &str) -> Option<u64> {
    let field =
        |name: &str| statistics.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(' ')?.parse().ok());
    field("total_rss").or_else(|| field("anon"))
}

fn killed(counters: &str) -> Option<u64> {
    counters.lines().find_map(|line| line.strip_prefix("oom_kill ")?.parse().ok())
}

/// The mount point of a version 1 hierarchy with this controller.
fn split(mounts: &str, controller: &str) -> Option<PathBuf> {
    mount(mounts, |kind, options| kind == "cgroup" && options.split(',').any(|option| option == controller))
}

fn unified(mounts: &str) -> Option<PathBuf> {
    mount(mounts, |kind, _| kind == "cgroup2")
}

fn mount(mounts: &str, wanted: impl Fn(&str, &str) -> bool) -> Option<PathBuf> {
    mounts.lines().find_map(|line| {
        let mut fields = line.split(' ').skip(1);
        let (at, kind, options) = (fields.next()?, fields.next()?, fields.next()?);
        wanted(kind, options).then(|| PathBuf::from(at))
    })
}

/// Makes a parent group that can bound memory and processes of the groups in it, if this server is allowed to.
fn enable(place: &Path) -> Option<Groups> {
    // Often done already, and refused where processes sit in `place` itself; what counts is what comes of it. In two
    // steps, for a controller that is not there fails all that are asked for with it.
    let turn_on = |place: &Path| {
        for controllers in ["+memory +pids", "+cpu"] {
            let _ = fs::write(place.join("cgroup.subtree_control"), controllers);
        }
    };
    turn_on(place);
    let parent = ours(place.join(PARENT))?;
    turn_on(&parent);
    let enabled = fs::read_to_string(parent.join("cgroup.subtree_control")).ok()?;
    let has = |controller| enabled.split_ascii_whitespace().any(|name| name == controller);
    if has("memory") && has("pids") {
        return Some(Groups::Unified { cpu: has("cpu"), parent });
    }
    let _ = fs::remove_dir(parent);
    None
}

#[cfg(test)]
mod tests {
    use super::*;

    const HYBRID: &str = "tmpfs /sys/fs/cgroup tmpfs rw,relatime,mode=755 0 0\n\
        cgroup /sys/fs/cgroup/cpu,cpuacct cgroup rw,relatime,cpu,cpuacct 0 0\n\
        cgroup /sys/fs/cgroup/memory cgroup rw,relatime,memory 0 0\n\
        cgroup2 /sys/fs/cgroup/unified cgroup2 rw,relatime 0 0\n";

    #[test]
    fn hierarchies_are_found_by_kind_and_controller() {
        assert_eq!(split(HYBRID, "memory"), Some("/sys/fs/cgroup/memory".into()));
        assert_eq!(split(HYBRID, "cpu"), Some("/sys/fs/cgroup/cpu,cpuacct".into()));
        assert_eq!(split(HYBRID, "pids"), None);
        assert_eq!(unified(HYBRID), Some("/sys/fs/cgroup/unified".into()));
    }

    #[test]
    fn memory_of_processes_is_read_from_either_version() {
        assert_eq!(parse("cache 4096\nrss 1\ntotal_rss 8192\n"), Some(8_192));
        assert_eq!(parse("anon 12288\nfile 4096\nanon_thp 0\n"), Some(12_288));
        assert_eq!(parse("cache 1\n"), None);
    }

    #[test]
    fn processes_that_the_kernel_has_ended_are_counted_in_either_version() {
        let group = tempfile::tempdir().unwrap();
        let groups = [group.path().join("none"), group.path().to_owned()];
        assert_eq!(ended(&groups), 0);
        fs::write(group.path().join("memory.oom_control"), "oom_kill_disable 0\nunder_oom 0\noom_kill 3\n").unwrap();
        assert_eq!(ended(&groups), 3);
        assert_eq!(killed("low 0\nhigh 0\nmax 7\noom 6\noom_kill 5\noom_group_kill 0\n"), Some(5));
    }

    #[test]
    fn a_share_of_the_processors_is_a_part_of_each_period() {
        assert_eq!(quota(0), None);
        assert_eq!(quota(500), Some(50_000));
        assert_eq!(quota(2_000), Some(200_000));
        assert_eq!(quota(1), Some(LEAST_QUOTA));
    }

    #[test]
    fn a_group_for_the_processors_is_made_only_where_they_are_limited() {
        let hierarchies = tempfile::tempdir().unwrap();
        let [memory, cpu] = ["memory", "cpu"].map(|name| hierarchies.path().join(name));
        let groups = Groups::Split { memory: memory.clone(), pids: None, cpu: Some(cpu.clone()) };
        assert_eq!(groups.make("one", &Limits::default()).unwrap(), [memory.join("one")]);
        let limits = Limits { cpus: 500, ..Limits::default() };
        assert_eq!(groups.make("two", &limits).unwrap(), [memory.join("two"), cpu.join("two")]);
    }

    #[test]
    fn what_a_group_can_bound_is_written_into_it() {
        let group = tempfile::tempdir().unwrap();
        let at = |file: &str| group.path().join(file);
        for file in ["cpu.cfs_period_us", "cpu.cfs_quota_us", "cpu.max", "pids.max"] {
            fs::write(at(file), "").unwrap();
        }
        let limits = Limits { cpus: 1_500, processes: 10, ..Limits::default() };
        set(group.path(), &limits).unwrap();
        let read = |file: &str| fs::read_to_string(at(file)).unwrap();
        assert_eq!((read("cpu.cfs_period_us"), read("cpu.cfs_quota_us")), ("100000".into(), "150000".into()));
        assert_eq!((read("cpu.max"), read("pids.max")), ("150000 100000".into(), "18".into()));
        assert!(!at("memory.max").exists());
    }

    #[test]
    fn removing_what_is_not_there_is_no_error() {
        remove(&["/sys/fs/cgroup/no-such-group".into()]).unwrap();
    }
}
