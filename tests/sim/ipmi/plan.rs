//! What the simulated BMC has: sensors with everything that a real one may do, as commands of `ipmi_sim` and as SDRs.

use std::fmt::Write as _;

/// How a name is written into a record.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Name {
    /// ASCII and Latin-1.
    Eight(&'static str),
    /// Six bits a character.
    Six(&'static str),
}

/// A sensor with a number.
#[derive(Clone, Copy, Debug)]
pub struct Analog {
    /// Its number.
    pub number: u8,
    /// Its name.
    pub name: Name,
    /// Kind of sensor.
    pub kind: u8,
    /// Entity and instance.
    pub entity: (u8, u8),
    /// Base unit.
    pub unit: u8,
    /// 0 unsigned, 1 one's complement, 2 two's complement.
    pub format: u8,
    /// Linearization.
    pub curve: u8,
    /// M, B, K1 (of B), K2 (of the result).
    pub factors: (i16, i16, i8, i8),
    /// Raw reading to begin with.
    pub raw: u8,
    /// Raw limits: lower non-critical, critical, non-recoverable, then upper; `None` where there is none.
    pub limits: [Option<u8>; 6],
}

/// A sensor with states.
#[derive(Clone, Copy, Debug)]
pub struct Discrete {
    /// Its number.
    pub number: u8,
    /// Its name.
    pub name: &'static str,
    /// Kind of sensor.
    pub kind: u8,
    /// Event/reading type.
    pub event_type: u8,
    /// Entity and instance.
    pub entity: (u8, u8),
    /// States that it can have.
    pub states: u16,
    /// The one that holds to begin with.
    pub holds: Option<u8>,
}

const NO_LIMITS: [Option<u8>; 6] = [None; 6];

const fn analog(number: u8, name: Name, kind: u8, entity: (u8, u8), unit: u8, raw: u8) -> Analog {
    Analog {
        number,
        name,
        kind,
        entity,
        unit,
        format: 0,
        curve: 0,
        factors: (1, 0, 0, 0),
        raw,
        limits: NO_LIMITS,
    }
}

/// Every analog sensor. No two have the same value, so that none can pass for another.
pub const ANALOG: &[Analog] = &[
    Analog {
        limits: [None, Some(3), None, Some(42), Some(47), None],
        ..analog(1, Name::Eight("Inlet Temp"), 1, (0x37, 1), 1, 24)
    },
    Analog {
        limits: [None, None, None, Some(85), Some(95), Some(100)],
        ..analog(2, Name::Eight("CPU1 Temp"), 1, (3, 1), 1, 58)
    },
    // -10 degrees
    Analog {
        format: 2,
        limits: [None, Some(0xe2), None, None, Some(75), None],
        ..analog(3, Name::Eight("Exhaust Temp"), 1, (7, 1), 1, 0xf6)
    },
    // -7 degrees
    Analog {
        format: 1,
        ..analog(4, Name::Eight("Coolant Temp"), 1, (0x1e, 1), 1, 0xf8)
    },
    Analog {
        factors: (75, 0, 0, 0),
        limits: [None, Some(10), None, None, None, None],
        ..analog(5, Name::Eight("Fan1"), 4, (0x1d, 1), 18, 100)
    },
    Analog {
        factors: (75, 0, 0, 0),
        limits: [None, Some(10), None, None, None, None],
        ..analog(6, Name::Eight("Fan2"), 4, (0x1d, 2), 18, 103)
    },
    Analog {
        factors: (6, 0, 0, -2),
        limits: [None, Some(180), None, None, Some(220), None],
        ..analog(7, Name::Six("12V"), 2, (7, 1), 4, 201)
    },
    Analog {
        factors: (16, 0, 0, -3),
        ..analog(8, Name::Six("P3V3 STBY"), 2, (7, 1), 4, 206)
    },
    // -1 × 30 + 12 × 10 = 90, then milliamperes
    Analog {
        factors: (-1, 12, 1, -3),
        ..analog(9, Name::Eight("Leakage"), 3, (7, 1), 5, 30)
    },
    Analog {
        factors: (8, 0, 0, 0),
        ..analog(10, Name::Eight("PSU1 Input Power"), 0x0b, (0x0a, 1), 6, 40)
    },
    Analog {
        factors: (8, 0, 0, 0),
        ..analog(11, Name::Eight("PSU2 Input Power"), 0x0b, (0x0a, 2), 6, 38)
    },
    Analog {
        factors: (511, -512, -2, 0),
        ..analog(12, Name::Eight("Wide Factors"), 0x0b, (7, 1), 19, 9)
    },
    // 2 ^ (0.1 x) and so on: every curve once
    curve(0x41, "Curve Ln", 1, (3, 0, 0, -1), 77),
    curve(0x42, "Curve Log10", 2, (3, 0, 0, -1), 99),
    curve(0x43, "Curve Log2", 3, (3, 0, 0, -1), 55),
    curve(0x44, "Curve Exp", 4, (1, 0, 0, -1), 21),
    curve(0x45, "Curve Exp10", 5, (1, 0, 0, -1), 17),
    curve(0x46, "Curve Exp2", 6, (1, 0, 0, -1), 67),
    curve(0x47, "Curve Inverse", 7, (1, 0, 0, 0), 4),
    curve(0x48, "Curve Square", 8, (1, 0, 0, -1), 51),
    curve(0x49, "Curve Cube", 9, (1, 0, 0, -1), 33),
    curve(0x4a, "Curve Root", 10, (1, 0, 0, 0), 200),
    curve(0x4b, "Curve Cube Root", 11, (1, 0, 0, 0), 250),
];

const fn curve(
    number: u8,
    name: &'static str,
    curve: u8,
    factors: (i16, i16, i8, i8),
    raw: u8,
) -> Analog {
    Analog {
        curve,
        factors,
        ..analog(number, Name::Eight(name), 0x0b, (7, 1), 34, raw)
    }
}

/// Every discrete sensor.
pub const DISCRETE: &[Discrete] = &[
    discrete(0x14, "PSU1 Status", 0x08, 0x6f, (0x0a, 1), 0b1111, Some(0)),
    discrete(0x15, "PSU2 Status", 0x08, 0x6f, (0x0a, 2), 0b1111, Some(0)),
    discrete(0x16, "Memory ECC", 0x0c, 0x6f, (8, 1), 0b10_0011, None),
    discrete(
        0x17,
        "CPU1 Status",
        0x07,
        0x6f,
        (3, 1),
        0b1000_0011,
        Some(7),
    ),
    discrete(
        0x18,
        "PSU Redundancy",
        0x08,
        0x0b,
        (0x13, 1),
        0b111,
        Some(0),
    ),
];

const fn discrete(
    number: u8,
    name: &'static str,
    kind: u8,
    event_type: u8,
    entity: (u8, u8),
    states: u16,
    holds: Option<u8>,
) -> Discrete {
    Discrete {
        number,
        name,
        kind,
        event_type,
        entity,
        states,
        holds,
    }
}

impl Name {
    /// The name as people read it.
    #[must_use]
    pub const fn text(self) -> &'static str {
        match self {
            Self::Eight(text) | Self::Six(text) => text,
        }
    }

    /// Type/length byte and bytes.
    fn encoded(self) -> Vec<u8> {
        let (encoding, bytes) = match self {
            Self::Eight(text) => (0xc0, text.as_bytes().to_vec()),
            Self::Six(text) => (0x80, six_bits(text)),
        };
        let length = u8::try_from(bytes.len()).unwrap_or(0x1f);
        [vec![encoding | length], bytes].concat()
    }
}

/// Characters from the blank on, four in three bytes, low bits first.
fn six_bits(text: &str) -> Vec<u8> {
    let mut bits = Vec::new();
    for byte in text.bytes() {
        let code = byte.wrapping_sub(0x20);
        bits.extend((0..6).map(|bit| code >> bit & 1));
    }
    bits.chunks(8)
        .map(|chunk| {
            let bits = chunk.iter().enumerate();
            bits.fold(0, |byte, (at, bit)| byte | bit << at)
        })
        .collect()
}

impl Analog {
    fn mask(&self) -> u8 {
        let limits = self.limits.iter().enumerate();
        limits.fold(0, |mask, (bit, limit)| {
            mask | u8::from(limit.is_some()) << bit
        })
    }

    /// Its full record (section 43.1), id left zero.
    #[must_use]
    pub fn record(&self) -> Vec<u8> {
        let (m, b, k1, k2) = self.factors;
        let [m_low, m_high] = m.to_le_bytes();
        let [b_low, b_high] = b.to_le_bytes();
        let exponents = k2.cast_unsigned() << 4 | k1.cast_unsigned() & 0x0f;
        let has_limits = if self.mask() == 0 { 0 } else { 0b10_00 };
        let (entity, instance) = self.entity;
        let mut body = vec![
            0x20,
            0,
            self.number,
            entity,
            instance,
            0x7f,
            0x60 | has_limits,
            self.kind,
            0x01,
        ];
        // events of the limits: low ones when going low, high ones when going high
        let events = events(self.mask());
        let [low, high] = events.to_le_bytes();
        let comparison = self.mask() & 7;
        let upper = self.mask() >> 3;
        body.extend([low, high | comparison << 4, low, high | upper << 4]);
        body.extend([self.mask(), self.mask()]);
        body.extend([self.format << 6, self.unit, 0, self.curve]);
        // tolerance 2 half counts, accuracy 1 %
        body.extend([
            m_low,
            m_high << 6 | 2,
            b_low,
            b_high << 6 | 0x24,
            0x10,
            exponents,
        ]);
        // nominal reading, normal and sensor ranges: not given
        body.extend([0, 0, 0, 0, 0xff, 0]);
        let limits = self.limits.iter().rev().map(|limit| limit.unwrap_or(0));
        body.extend(limits);
        // hystereses, two reserved, OEM
        body.extend([0; 5]);
        body.extend(self.name.encoded());
        with_header(0x01, body)
    }

    fn commands(&self, text: &mut String) {
        let Self {
            number, kind, raw, ..
        } = *self;
        let mut line = |command: String| {
            writeln!(text, "{command}").ok();
        };
        line(format!("sensor_add 0x20 0 {number} {kind} 1"));
        line(format!("sensor_set_value 0x20 0 {number} {raw} 0"));
        if self.mask() != 0 {
            let limits: Vec<String> = self
                .limits
                .iter()
                .rev()
                .map(|limit| limit.unwrap_or(0).to_string())
                .collect();
            let limits = limits.join(" ");
            let mask = self.mask();
            line(format!(
                "sensor_set_threshold 0x20 0 {number} settable {mask:06b} {limits}"
            ));
        }
        // without this it is not scanned
        let events = format!("{:015b}", events(self.mask()));
        line(format!(
            "sensor_set_event_support 0x20 0 {number} enable scanning per-state {events} {events} {events} {events}"
        ));
    }
}

/// Lower limits make events 0, 2, 4 and upper ones 7, 9, 11.
fn events(mask: u8) -> u16 {
    let bits = [0, 2, 4, 7, 9, 11_u16];
    bits.iter().enumerate().fold(0, |events, (at, bit)| {
        events | u16::from(mask >> at & 1) << bit
    })
}

impl Discrete {
    /// Its compact record (section 43.2), id left zero.
    #[must_use]
    pub fn record(&self) -> Vec<u8> {
        let (entity, instance) = self.entity;
        let mut body = vec![
            0x20,
            0,
            self.number,
            entity,
            instance,
            0x67,
            0x40,
            self.kind,
            self.event_type,
        ];
        let [low, high] = self.states.to_le_bytes();
        body.extend([low, high, low, high, low, high]);
        // no number, no unit, not shared, no hysteresis, three reserved, OEM
        body.extend([0xc0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0]);
        body.extend(Name::Eight(self.name).encoded());
        with_header(0x02, body)
    }

    fn commands(&self, text: &mut String) {
        let Self {
            number,
            kind,
            event_type,
            states,
            ..
        } = *self;
        writeln!(text, "sensor_add 0x20 0 {number} {kind} {event_type:#x}").ok();
        let states = format!("{states:015b}");
        writeln!(text, "sensor_set_event_support 0x20 0 {number} enable scanning per-state {states} {states} {states} {states}").ok();
        if let Some(state) = self.holds {
            writeln!(text, "sensor_set_bit_clr_rest 0x20 0 {number} {state} 0").ok();
        }
    }
}

fn with_header(kind: u8, body: Vec<u8>) -> Vec<u8> {
    let length = u8::try_from(body.len()).unwrap_or(u8::MAX);
    [vec![0, 0, 0x51, kind, length], body].concat()
}

/// The inventory of device 0: a board and a product, serial numbers that must not come out, and a supply of 750 W.
#[must_use]
pub fn inventory() -> Vec<u8> {
    let field = |text: &str| {
        let length = u8::try_from(text.len()).unwrap_or(0x3f);
        [vec![0xc0 | length], text.as_bytes().to_vec()].concat()
    };
    let area = |head: &[u8], fields: &[&str]| {
        let mut body = head.to_vec();
        fields.iter().for_each(|text| body.extend(field(text)));
        body.push(0xc1);
        // version and length before, the sum behind
        let length = (body.len() + 3).next_multiple_of(8);
        body.resize(length - 3, 0);
        let mut area = vec![1, u8::try_from(length / 8).unwrap_or(0)];
        area.extend(body);
        area.push(checksum(&area));
        area
    };
    let chassis = area(&[0x17], &["CH-100", "CHASSIS-SERIAL"]);
    let board = area(
        &[0, 1, 2, 3],
        &["Glassworks", "GW-Board", "BOARD-SERIAL", "BP-200"],
    );
    let product = area(
        &[0],
        &["Glassworks", "GW-2000", "PN-300", "B1", "PRODUCT-SERIAL"],
    );
    let supply = [750_u16.to_le_bytes().to_vec(), vec![0; 22]].concat();
    let mut record = vec![0x00, 0x82, 24, checksum(&supply)];
    record.push(checksum(&record));
    record.extend(supply);
    let at = |bytes: usize| u8::try_from((8 + bytes) / 8).unwrap_or(0);
    let mut header = vec![
        1,
        0,
        at(0),
        at(chassis.len()),
        at(chassis.len() + board.len()),
        at(chassis.len() + board.len() + product.len()),
        0,
    ];
    header.push(checksum(&header));
    [header, chassis, board, product, record].concat()
}

fn checksum(bytes: &[u8]) -> u8 {
    bytes.iter().fold(0_u8, |sum, byte| sum.wrapping_sub(*byte))
}

/// The commands that make the BMC.
pub(crate) fn commands() -> String {
    let mut text = String::from(
        "mc_setbmc 0x20\nmc_add 0x20 0 no-device-sdrs 0x23 9 8 0x9f 0x1291 0xf02\nsel_enable 0x20 1000 0x0a\n",
    );
    ANALOG.iter().for_each(|sensor| sensor.commands(&mut text));
    DISCRETE
        .iter()
        .for_each(|sensor| sensor.commands(&mut text));
    let records = ANALOG
        .iter()
        .map(Analog::record)
        .chain(DISCRETE.iter().map(Discrete::record));
    for record in records {
        writeln!(text, "main_sdr_add 0x20 {}", hex(&record)).ok();
    }
    let inventory = inventory();
    let length = inventory.len();
    writeln!(
        text,
        "mc_add_fru_data 0x20 0 {length} data {}",
        hex(&inventory)
    )
    .ok();
    text.push_str("mc_enable 0x20\n");
    text
}

fn hex(bytes: &[u8]) -> String {
    let bytes: Vec<String> = bytes.iter().map(|byte| format!("{byte:#04x}")).collect();
    bytes.join(" ")
}
