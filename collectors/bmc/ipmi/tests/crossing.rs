//! No value crosses a timeout: a network before `ipmi_sim` that loses, delays, doubles and reorders replies.
//!
//! Every sensor of the simulated BMC has a value of its own, so a value under a wrong name is seen.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use glasshouse_core::sample::Value;
use glasshouse_core::time::SystemClock;
use glasshouse_sim::ipmi::{ANALOG, Fate, Proxy, USER};
use glasshouse_sysfs::compliance::Recording;

use super::simulated;
use crate::ipmi::bmc::Bmc;
use crate::ipmi::decode::sdr::Owner;
use crate::ipmi::lan::{Lan, Level};
use crate::ipmi::place::Place;
use crate::ipmi::request::{Request, SensorAddress};
use crate::ipmi::transport::IpmiTransport;

/// How long a reply is waited for here: `ipmi_sim` takes less than a millisecond.
const DEADLINE: Duration = Duration::from_millis(60);

fn lan(address: std::net::SocketAddr) -> Lan {
    let (user, password) = USER;
    Lan::new(
        address,
        user.to_owned(),
        Box::new(move || Ok(password.to_owned())),
        Level::User,
    )
}

fn bmc(address: std::net::SocketAddr) -> Bmc {
    Bmc::new(
        Place::own(),
        Box::new(lan(address)),
        Arc::new(SystemClock),
        DEADLINE,
    )
}

fn run(bmc: &mut Bmc) -> Recording {
    let mut recording = Recording::empty();
    recording.outcome = bmc.run(&mut recording);
    recording
}

/// Readings of sensors; time, counts and what the BMC counts itself left out.
fn readings(recording: &Recording) -> BTreeMap<String, f64> {
    let samples = recording
        .samples
        .iter()
        .filter(|sample| !sample.metric.name.starts_with("hw.bmc."));
    samples
        .filter_map(|sample| Some((sample.name(), sample.value.ok().map(Value::as_f64)?)))
        .collect()
}

fn is_near(a: f64, b: f64) -> bool {
    (a - b).abs() < 1e-9
}

/// A machine under load may lose every run to its own slowness: the network is then tried anew, so many times.
const MOST_TRIES: u32 = 5;

/// Runs a BMC behind a bad network and compares each value with what it is behind none.
fn no_value_is_wrong(fate: fn(u64) -> Fate, what: &str) {
    let Some(simulated) = simulated() else { return };
    let truth = readings(&run(&mut bmc(simulated.lan())));
    assert!(truth.len() > 40, "{truth:?}");
    let mut right = 0;
    for _ in 0..MOST_TRIES {
        let proxy = Proxy::before(simulated.lan(), fate).unwrap();
        let mut bmc = bmc(proxy.address());
        let mut lost = 0;
        for _ in 0..6 {
            let recording = run(&mut bmc);
            lost += u32::from(recording.outcome.is_err());
            for (name, value) in readings(&recording) {
                let true_value = truth.get(&name).copied();
                assert!(
                    true_value.is_some_and(|truth| is_near(truth, value)),
                    "{what}: {name} is {true_value:?}, not {value}"
                );
                right += 1;
            }
        }
        let replies = proxy.replies();
        eprintln!(
            "{what}: {right} values right, none wrong, {lost} of 6 runs lost, {replies} replies"
        );
        if right > 40 {
            return;
        }
    }
    panic!("{what}: only {right} values came through");
}

#[test]
fn replies_that_come_twice_reach_no_other_sensor() {
    no_value_is_wrong(
        |number| {
            if number % 29 == 28 {
                Fate::Double(1)
            } else {
                Fate::Pass
            }
        },
        "doubled",
    );
}

#[test]
fn replies_that_come_late_reach_no_other_sensor() {
    // beyond the deadline, with the next request or the one after it
    let late = |number| match number % 120 {
        30 => Fate::Delay(DEADLINE + Duration::from_millis(5)),
        70 => Fate::HoldFor(1),
        110 => Fate::HoldFor(2),
        _ => Fate::Pass,
    };
    no_value_is_wrong(late, "late");
}

#[test]
fn replies_that_are_lost_are_asked_for_again() {
    no_value_is_wrong(
        |number| {
            if number % 31 == 30 {
                Fate::Lose
            } else {
                Fate::Pass
            }
        },
        "lost",
    );
}

/// A reply that comes once more when its sequence number of six bits is used again would pass for the new one's: a
/// session ends before that. With longer sessions this test fails.
#[test]
fn replies_that_come_again_with_their_number_reach_no_other_sensor() {
    let Some(simulated) = simulated() else { return };
    for distance in [63, 64, 65, 128] {
        let again = move |number| {
            if number % 50 == 20 {
                Fate::Double(distance)
            } else {
                Fate::Pass
            }
        };
        let proxy = Proxy::before(simulated.lan(), again).unwrap();
        let mut way = lan(proxy.address());
        let owner = Owner {
            address: 0x20,
            channel: 0,
            lun: 0,
        };
        for plan in ANALOG.iter().cycle().take(1000) {
            let number = plan.number;
            let request = Request::GetSensorReading(SensorAddress { owner, number });
            if let Ok(reply) = way.exchange(&request, DEADLINE) {
                assert_eq!(
                    reply.data[0], plan.raw,
                    "{distance} requests later: {plan:?}"
                );
            }
        }
    }
}

#[test]
fn a_session_is_open_only_while_a_run_lasts() {
    let Some(simulated) = simulated() else { return };
    let mut way = lan(simulated.lan());
    way.exchange(&Request::GetDeviceId, DEADLINE).unwrap();
    assert!(way.session.is_some());
    way.finish();
    assert!(way.session.is_none());
    // a BMC has a handful of slots: as many runs would fill them if one stayed open
    let mut bmc = bmc(simulated.lan());
    for _ in 0..40 {
        assert!(run(&mut bmc).outcome.is_ok());
    }
}

#[test]
fn a_wrong_password_is_told_from_silence() {
    let Some(simulated) = simulated() else { return };
    let (user, _) = USER;
    let mut way = Lan::new(
        simulated.lan(),
        user.to_owned(),
        Box::new(|| Ok("wrong".to_owned())),
        Level::User,
    );
    let error = way.exchange(&Request::GetDeviceId, DEADLINE).unwrap_err();
    assert!(!error.is_silence(), "{error}");
    assert_eq!(
        error.reason(),
        glasshouse_core::failure::FailureReason::Denied
    );
}

#[test]
fn sensors_of_other_controllers_are_told_to_be_out_of_reach() {
    let mut way = lan("127.0.0.1:9".parse().unwrap());
    let owner = Owner {
        address: 0x2c,
        channel: 6,
        lun: 0,
    };
    let sensor = SensorAddress { owner, number: 1 };
    let error = way
        .exchange(&Request::GetSensorReading(sensor), DEADLINE)
        .unwrap_err();
    assert!(!error.is_silence());
}

/// The test that decided which crate asks over the network (docs/adr/0002-ipmi-transport.md): with a reply that comes
/// late, ipmi-rs 0.6 gives the value of another sensor, as nothing of its client looks at sequence numbers.
#[test]
fn the_other_client_takes_a_late_reply_for_the_next_one() {
    use glasshouse_sim::ipmi::ADMINISTRATOR;
    use ipmi_rs::connection::{
        IpmiConnection, LogicalUnit, Message, Request, RequestTargetAddress,
    };

    let Some(simulated) = simulated() else { return };
    let ask = |client: &mut ipmi_rs::rmcp::Rmcp, number: u8| {
        let message = Message::new_raw(0x04, 0x2d, vec![number]);
        let mut request = Request::new(message, RequestTargetAddress::Bmc(LogicalUnit::Zero));
        client
            .send_recv(&mut request)
            .ok()
            .and_then(|reply| reply.data().first().copied())
    };
    let connect = |address: std::net::SocketAddr| {
        let (user, password) = ADMINISTRATOR;
        let mut client = ipmi_rs::rmcp::Rmcp::new(address, Duration::from_millis(200)).unwrap();
        client
            .activate(true, Some(user), Some(password.as_bytes()))
            .map(|()| client)
    };
    // how many replies a session takes to open
    let counted = Proxy::before(simulated.lan(), |_| Fate::Pass).unwrap();
    let mut client = connect(counted.address()).unwrap();
    let opening = counted.replies();
    let (inlet, cpu) = (ask(&mut client, 1).unwrap(), ask(&mut client, 2).unwrap());
    assert_eq!((inlet, cpu), (24, 58));
    // the first reading comes late
    let late = Proxy::before(simulated.lan(), move |number| {
        if number == opening {
            Fate::HoldFor(1)
        } else {
            Fate::Pass
        }
    })
    .unwrap();
    let mut client = connect(late.address()).unwrap();
    let first = ask(&mut client, 1);
    let second = ask(&mut client, 2);
    eprintln!("ipmi-rs: {first:?} for sensor 1, {second:?} for sensor 2, which is {cpu}");
    assert_eq!(
        (first, second),
        (None, Some(inlet)),
        "it checks now: the decision can be looked at again"
    );
}
