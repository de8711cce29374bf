use super::*;

fn at(millis: i64) -> Timestamp {
    Timestamp::from_millis(millis)
}

fn queued() -> Record {
    Record::new(WorkId::from_bits(1), EnvironmentId::from_bits(2), SessionId::from_bits(3), 0, at(0))
}

fn polled() -> Record {
    queued().claimed(1, ("digest".into(), None), at(10))
}

fn starting() -> Record {
    polled().acknowledged(at(20)).unwrap()
}

fn beat(record: &Record, expected: &str, now: i64) -> Record {
    match record.beat(Some(expected), None, at(now)).unwrap() {
        Beat::Extends(next) => *next,
        Beat::Over => panic!("the item is over"),
    }
}

fn active() -> Record {
    beat(&starting(), NONE, 30)
}

fn stopping() -> Record {
    active().stopped(false, By::Worker, at(40)).unwrap()
}

fn stopped() -> Record {
    stopping().stopped(true, By::Worker, at(50)).unwrap()
}

#[test]
fn an_item_goes_from_queued_to_stopped() {
    let states = [queued(), polled(), starting(), active(), stopping(), stopped()].map(|record| record.work.state);
    let expected = [State::Queued, State::Queued, State::Starting, State::Active, State::Stopping, State::Stopped];
    assert_eq!(states, expected);
    let work = stopped().work;
    let times =
        [work.acknowledged_at, work.started_at, work.latest_heartbeat_at, work.stop_requested_at, work.stopped_at];
    assert_eq!(times, [20, 30, 30, 40, 50].map(|millis| Some(at(millis))));
}

#[test]
fn each_heartbeat_has_to_expect_the_one_before() {
    let first = active();
    let told = first.heartbeat(true);
    assert_eq!((told.last_heartbeat.as_str(), told.ttl_seconds), ("1970-01-01T00:00:00.030Z", TTL));
    let second = beat(&first, &told.last_heartbeat, 40);
    for expected in [NONE, told.last_heartbeat.as_str(), "", "1970-01-01T00:00:00.04Z"] {
        let lost = second.beat(Some(expected), None, at(50)).unwrap_err();
        assert_eq!(lost.code, Some("heartbeat_precondition_failed"), "{expected}");
        let lease = lost.lease.unwrap();
        assert_eq!(lease.last_heartbeat.as_deref(), Some("1970-01-01T00:00:00.040Z"));
        assert_eq!((lease.state, lease.lease_extended), (State::Active, false));
    }
    assert!(starting().beat(Some(&told.last_heartbeat), None, at(50)).is_err(), "there was none");
    assert!(second.beat(None, None, at(50)).is_ok(), "who expects nothing is not refused");
}

#[test]
fn no_two_heartbeats_have_the_same_time() {
    let first = active();
    let second = beat(&first, &first.heartbeat(true).last_heartbeat, 30);
    assert_eq!(second.work.latest_heartbeat_at, Some(at(31)));
    let again = second.claimed(2, ("other".into(), None), at(31)).acknowledged(at(31)).unwrap();
    assert_eq!(beat(&again, NONE, 5).work.latest_heartbeat_at, Some(at(32)), "nor those of two workers");
}

#[test]
fn a_worker_is_told_to_end_whatever_it_expects() {
    let Beat::Extends(ending) = stopping().beat(Some("nonsense"), None, at(60)).unwrap() else { panic!() };
    assert_eq!((ending.work.state, ending.work.started_at), (State::Stopping, Some(at(30))));
    assert_eq!(stopped().beat(Some("nonsense"), None, at(60)), Ok(Beat::Over));
    let told = stopped().heartbeat(false);
    assert_eq!((told.state, told.lease_extended), (State::Stopped, false));
}

#[test]
fn an_item_that_is_not_acknowledged_has_no_heartbeat() {
    assert_eq!(polled().beat(Some(NONE), None, at(20)).unwrap_err().kind.status(), 409);
    let handed_on = active().claimed(2, ("other".into(), None), at(400));
    let lost = handed_on.beat(Some("1970-01-01T00:00:00.030Z"), None, at(401)).unwrap_err();
    assert_eq!(lost.code, Some("heartbeat_precondition_failed"), "another worker has it now");
}

#[test]
fn a_worker_says_how_long_its_lease_lasts() {
    for (asked, lasts) in [(None, TTL), (Some(0), 1), (Some(60), 60), (Some(u64::MAX), LONGEST)] {
        let Beat::Extends(next) = starting().beat(Some(NONE), asked, at(30)).unwrap() else { panic!() };
        assert_eq!(next.ttl_seconds, lasts);
    }
}

#[test]
fn an_item_is_acknowledged_before_it_is_worked_on() {
    assert_eq!(starting().acknowledged(at(99)), Some(starting()), "twice is as good as once");
    for late in [active(), stopping(), stopped()] {
        assert_eq!(late.acknowledged(at(99)), None);
    }
}

#[test]
fn what_nobody_has_stops_at_once() {
    for record in [queued(), polled()] {
        assert_eq!(record.stopped(false, By::Worker, at(20)).unwrap().work.state, State::Stopped);
    }
    assert_eq!(starting().stopped(false, By::Worker, at(30)).unwrap().work.state, State::Stopped, "it is given up");
    assert_eq!(starting().stopped(false, By::Operator, at(30)).unwrap().work.state, State::Stopping);
    assert_eq!(stopping().stopped(false, By::Worker, at(60)), Some(stopping()), "the first request counts");
    assert_eq!(stopped().stopped(true, By::Worker, at(60)), None);
}

#[test]
fn a_new_worker_begins_anew() {
    let next = active().claimed(2, ("other".into(), None), at(400));
    assert_eq!((next.attempt, next.token.as_deref(), next.polled_at), (2, Some("other"), Some(at(400))));
    assert_eq!(next.work, Work { ..polled().work });
}

#[test]
fn what_the_operator_has_asked_to_end_stays_so_whoever_ends_it() {
    let held = active().stopped(false, By::Operator, at(40)).unwrap();
    assert!(held.is_held && held.stopped(true, By::Worker, at(50)).unwrap().is_held);
    assert!(!stopped().is_held);
}

#[test]
fn workers_that_fail_at_once_are_made_to_wait() {
    let pause = |failures| Record { failures, ..queued() }.pause();
    assert_eq!([0, 1, 2, 3, 7, 8, 99].map(pause), [0, 0, 1_000, 2_000, 32_000, 60_000, 60_000]);
    assert_eq!(starting().failures_after(at(30)), 1);
    assert_eq!(starting().failures_after(at(20 + 60_000)), 0, "that was no failure at once");
    assert_eq!(queued().failures_after(at(90_000)), 1, "nobody has had it");
}

#[test]
fn what_is_due_at_once_is_so_by_a_clock_that_is_behind() {
    let due_at = |failures| {
        let record = Record { failures, ..queued() };
        let [Change::Insert(document), Change::Enqueue(item)] = record.begins(WorkspaceId::from_bits(9)).unwrap()
        else {
            panic!("something else begins")
        };
        assert_eq!((&document.id, document.archived_at), (&item.id, None));
        assert_eq!(document.parent.unwrap(), record.work.environment_id.to_string());
        item.due_at
    };
    assert_eq!(due_at(0), at(-SKEW));
    assert_eq!(due_at(3), at(2_000));
}

#[test]
fn a_document_is_archived_with_the_end_of_its_item() {
    let [Change::Insert(document), _] = queued().begins(WorkspaceId::from_bits(9)).unwrap() else { panic!() };
    let going = stopping().over(&document, at(41)).unwrap();
    assert_eq!((going.version, going.updated_at, going.archived_at), (2, at(41), None));
    let ended = stopped().over(&going, at(51)).unwrap();
    assert_eq!((ended.version, ended.archived_at), (3, Some(at(50))));
    assert_eq!(serde_json::from_str::<Record>(&ended.body).unwrap(), stopped());
}

#[test]
fn an_item_waits_is_polled_and_is_taken_until_its_worker_is_silent() {
    let places = [queued(), polled(), starting(), active(), stopping(), stopped()].map(|record| record.place(at(60)));
    let taken = Place::Taken;
    assert_eq!(places, [Place::Waiting, Place::Polled, taken, taken, taken, taken]);
    let ttl = i64::try_from(TTL * 1_000).unwrap();
    assert_eq!([active().place(at(30 + ttl)), active().place(at(31 + ttl))], [taken, Place::Waiting]);
    assert_eq!(starting().place(at(21 + ttl)), Place::Waiting);
    assert_eq!(stopping().place(at(99 + ttl)), taken, "it is to end, and nobody is given it");
}

#[test]
fn a_worker_that_is_to_end_is_not_waited_for_as_long_as_another() {
    assert_eq!([active().lease(), stopping().lease()], [Duration::from_secs(TTL), Duration::from_secs(ENDING)]);
}
