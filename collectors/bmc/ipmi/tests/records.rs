//! Records field by field, as section 43 and the FRU definition lay them out.

use crate::ipmi::decode::entity::Entity;
use crate::ipmi::decode::factors::{AnalogFormat, Curve, Linearization};
use crate::ipmi::decode::sdr::{self, FruLocator, Limits, Owner, Record, Sensor};
use crate::ipmi::decode::{DecodeError, fru};

/// A full record of a fan at another controller, with everything set.
fn full() -> Vec<u8> {
    let mut record = vec![
        7, 0, 0x51, 0x01, 0, // header
        0x2c, 0x61, 0x33, // owner, channel 6 and LUN 1, number
        0x1d, 0x82, // entity
        0x7f, 0x6a, 0x04,
        0x01, // initialization, limits readable and settable, kind, event type
        0x05, 0x72, 0x80, 0x70, 0x3f, 0x3f, // masks
        0x80, 18, 0, 0, // two's complement, RPM
        0x4b, 0x42, 0x10, 0xc5, 0x14, 0xd1, // factors
        0, 0, 0, 0, 0x7f, 0x80, // ranges
        60, 50, 40, 10, 20, 30, // UNR UC UNC LNR LC LNC
        1, 1, 0, 0, 0xab, // hystereses, reserved, OEM
        0xc5,
    ];
    record.extend(b"Fan 2");
    with_length(record)
}

fn with_length(mut record: Vec<u8>) -> Vec<u8> {
    record[4] = u8::try_from(record.len() - 5).unwrap();
    record
}

fn sensors(record: &[u8]) -> Vec<Sensor> {
    match sdr::decode(record).unwrap() {
        Record::Sensors(sensors) => sensors,
        other => panic!("{other:?}"),
    }
}

#[test]
fn a_full_record_is_read_field_by_field() {
    let [sensor] = &sensors(&full())[..] else {
        panic!("one sensor")
    };
    let owner = Owner {
        address: 0x2c,
        channel: 6,
        lun: 1,
    };
    assert_eq!((sensor.owner, sensor.number), (owner, 0x33));
    assert_eq!(sensor.entity, Entity::new(0x1d, 2));
    assert_eq!((sensor.kind, sensor.event_type), (4, 1));
    assert_eq!(sensor.name, "Fan 2");
    assert!(sensor.is_readable);
    let analog = sensor.analog.unwrap();
    assert_eq!(analog.format, AnalogFormat::TwosComplement);
    assert_eq!(analog.unit.ucum(), "rpm");
    assert_eq!(analog.linearization, Linearization::Known(Curve::Linear));
    let factors = analog.factors;
    assert_eq!((factors.multiplier, factors.offset), (0x14b, -0xf0));
    assert_eq!((factors.result_exponent, factors.offset_exponent), (-3, 1));
    assert_eq!(
        (
            factors.tolerance,
            factors.accuracy,
            factors.accuracy_exponent
        ),
        (2, 0x45, 1)
    );
    assert_eq!(analog.limits, Limits::Readable);
}

#[test]
fn limits_that_are_fixed_stand_in_the_record() {
    let mut record = full();
    record[11] |= 0x0c;
    let analog = sensors(&record)[0].analog.unwrap();
    let Limits::Fixed(limits) = analog.limits else {
        panic!("{analog:?}")
    };
    let limits: Vec<_> = limits
        .iter()
        .map(|(limit, raw)| (limit.kind().word(), raw))
        .collect();
    let all = [
        ("low.degraded", 30),
        ("low.critical", 20),
        ("low.emergency", 10),
        ("high.degraded", 40),
        ("high.critical", 50),
        ("high.emergency", 60),
    ];
    assert_eq!(limits, all);
    // only the lower critical and the upper critical one
    (record[15], record[17]) = (0x20, 0x20);
    let analog = sensors(&record)[0].analog.unwrap();
    let Limits::Fixed(limits) = analog.limits else {
        panic!("{analog:?}")
    };
    assert_eq!(limits.iter().count(), 2);
    record[11] &= !0x0c;
    assert_eq!(sensors(&record)[0].analog.unwrap().limits, Limits::None);
}

#[test]
fn a_full_record_may_be_of_states_alone() {
    let mut record = full();
    // its own states, no unit
    (record[13], record[20], record[21]) = (0x6f, 0, 0);
    let sensor = &sensors(&record)[0];
    assert_eq!(sensor.analog, None);
    assert_eq!(sensor.states, 0x3f3f);
    // no number by its format
    let mut record = full();
    record[20] = 0xc0;
    assert_eq!(sensors(&record)[0].analog, None);
}

/// A compact record of three power supplies.
fn compact(sharing: u8, modifier: u8) -> Vec<u8> {
    let mut record = vec![
        8, 0, 0x51, 0x02, 0, 0x20, 0, 0x60, 0x0a, 1, 0x67, 0x40, 0x08, 0x6f, 0x0f, 0, 0x0f, 0,
        0x0f, 0x80, 0xc0, 0, 0, sharing, modifier, 0, 0, 0, 0, 0, 0, 0xc4,
    ];
    record.extend(b"PSU ");
    with_length(record)
}

#[test]
fn a_record_that_several_sensors_share_is_one_for_each() {
    let facts = |record: &[u8]| -> Vec<(u8, String, u8)> {
        let sensors = sensors(record);
        sensors
            .into_iter()
            .map(|sensor| (sensor.number, sensor.name, sensor.entity.instance))
            .collect()
    };
    let named = |names: [&str; 3], instances: [u8; 3]| -> Vec<(u8, String, u8)> {
        (0x60..)
            .zip(names)
            .zip(instances)
            .map(|((number, name), instance)| (number, name.to_owned(), instance))
            .collect()
    };
    assert_eq!(
        facts(&compact(0x03, 0x81)),
        named(["PSU1", "PSU2", "PSU3"], [1, 2, 3])
    );
    assert_eq!(
        facts(&compact(0x03, 0x01)),
        named(["PSU1", "PSU2", "PSU3"], [1, 1, 1])
    );
    assert_eq!(
        facts(&compact(0x13, 0x00)),
        named(["PSUA", "PSUB", "PSUC"], [1, 1, 1])
    );
    assert_eq!(
        facts(&compact(0x13, 0x19)),
        named(["PSUZ", "PSUAA", "PSUAB"], [1, 1, 1])
    );
    // one, or none said
    for count in [0, 1] {
        assert_eq!(facts(&compact(count, 0x81)), [(0x60, "PSU".to_owned(), 1)]);
    }
    let states = sensors(&compact(1, 0))[0].states;
    assert_eq!(states, 0x000f, "bit 15 is reserved");
}

#[test]
fn sensors_that_only_make_events_are_known_by_name() {
    let mut record = vec![
        9, 0, 0x51, 0x03, 0, 0x20, 0, 0x70, 0x22, 1, 0x0f, 0x6f, 0x02, 0x05, 0, 0, 0xc4,
    ];
    record.extend(b"POST");
    let sensors = sensors(&with_length(record));
    assert_eq!(sensors.len(), 2);
    assert_eq!(
        (sensors[1].name.as_str(), sensors[1].number),
        ("POST6", 0x71)
    );
    assert_eq!((sensors[0].kind, sensors[0].event_type), (0x0f, 0x6f));
    assert!(!sensors[0].is_readable);
}

#[test]
fn parts_are_found_by_their_locators() {
    let mut record = vec![
        10, 0, 0x51, 0x11, 0, 0x20, 0x03, 0x80, 0, 0, 0x10, 0, 0x0a, 2, 0, 0xc4,
    ];
    record.extend(b"PSU2");
    let locator = FruLocator {
        address: 0x20,
        device: Some(3),
        entity: Entity::new(0x0a, 2),
        name: "PSU2".to_owned(),
    };
    assert_eq!(
        sdr::decode(&with_length(record.clone())),
        Ok(Record::Fru(locator))
    );
    // behind a bus: FRU commands do not reach it
    record[7] = 0;
    let Record::Fru(locator) = sdr::decode(&with_length(record)).unwrap() else {
        panic!("a locator")
    };
    assert_eq!(locator.device, None);
    let mut controller = vec![
        11, 0, 0x51, 0x12, 0, 0x21, 0, 0, 0x9f, 0, 0, 0, 7, 1, 0, 0xc3,
    ];
    controller.extend(b"BMC");
    let Record::Controller(controller) = sdr::decode(&with_length(controller)).unwrap() else {
        panic!("a controller")
    };
    assert_eq!(
        (controller.address, controller.name.as_str()),
        (0x20, "BMC")
    );
    assert_eq!(
        sdr::decode(&[1, 0, 0x51, 0xc0, 1, 0]),
        Ok(Record::Other(0xc0))
    );
}

#[test]
fn a_record_that_ends_early_is_an_error_that_says_so() {
    for record in [full(), compact(3, 0x81)] {
        let whole = record.len();
        let name = whole - usize::from(record[if record[3] == 1 { 47 } else { 31 }] & 0x1f);
        for length in 0..name {
            let cut = sdr::decode(&record[..length]);
            assert!(
                matches!(cut, Err(DecodeError::Short { .. })),
                "{length}: {cut:?}"
            );
        }
        // a name that is cut is a shorter name
        assert!(sdr::decode(&record[..whole - 1]).is_ok());
    }
    let mut odd = full();
    odd[23] = 0x0c;
    assert!(matches!(
        sdr::decode(&odd),
        Err(DecodeError::Odd { found: 0x0c, .. })
    ));
}

#[test]
fn an_inventory_tells_parts_and_no_serial_number() {
    let inventory = fru::decode(&glasshouse_sim::ipmi::inventory()).unwrap();
    assert_eq!(inventory.chassis_part_number.as_deref(), Some("CH-100"));
    assert_eq!(inventory.board_manufacturer.as_deref(), Some("Glassworks"));
    assert_eq!(inventory.board_product.as_deref(), Some("GW-Board"));
    assert_eq!(inventory.board_part_number.as_deref(), Some("BP-200"));
    assert_eq!(inventory.product.as_deref(), Some("GW-2000"));
    assert_eq!(inventory.part_number.as_deref(), Some("PN-300"));
    assert_eq!(inventory.version.as_deref(), Some("B1"));
    assert_eq!(inventory.capacity_watts, Some(750));
    assert_eq!(inventory.broken, []);
    assert!(!format!("{inventory:?}").contains("SERIAL"));
}

#[test]
fn a_broken_area_costs_nothing_but_itself() {
    let whole = glasshouse_sim::ipmi::inventory();
    let board = usize::from(whole[3]) * 8;
    let mut broken = whole.clone();
    broken[board + 8] ^= 1;
    let inventory = fru::decode(&broken).unwrap();
    assert_eq!(inventory.board_product, None);
    assert_eq!(inventory.product.as_deref(), Some("GW-2000"));
    assert!(matches!(
        inventory.broken[..],
        [DecodeError::Checksum { .. }]
    ));
    // its header: nothing can be found
    let mut broken = whole.clone();
    broken[4] ^= 1;
    assert!(matches!(
        fru::decode(&broken),
        Err(DecodeError::Checksum { .. })
    ));
    assert!(matches!(fru::decode(&[0; 8]), Err(DecodeError::Odd { .. })));
    assert!(matches!(
        fru::decode(&whole[..7]),
        Err(DecodeError::Short { .. })
    ));
    // cut in the product area
    let product = usize::from(whole[4]) * 8;
    let cut = fru::decode(&whole[..product + 4]).unwrap();
    assert_eq!(cut.board_product.as_deref(), Some("GW-Board"));
    assert_eq!(cut.product, None);
}
