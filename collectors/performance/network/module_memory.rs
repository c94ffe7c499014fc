//! The diagnostics in the memory of plugged-in network modules, decoded: SFF-8472 (SFP), SFF-8636 (QSFP), CMIS (QSFP-DD,
//! OSFP). Big-endian.
//!
//! Memory comes as `ETHTOOL_GMODULEEEPROM` joins it: A0h and A2h of an SFP; lower memory, page 0 and, from byte 512 on,
//! page 3 of a QSFP. Of CMIS modules that shows lower memory and page 0: temperature and voltage, no lanes. Flags that
//! a reading would clear are not there.

use super::ethtool::text;
use glasshouse_core::hardware::LimitType;

/// Where a quantity degrades and where it is in danger: high alarm, low alarm, high warning, low warning.
pub(super) type Limits = [f64; 4];

/// What the four limits are called.
pub(super) const LIMIT_TYPES: [LimitType; 4] = [
    LimitType::HighCritical,
    LimitType::LowCritical,
    LimitType::HighDegraded,
    LimitType::LowDegraded,
];

/// What a module says.
#[derive(Clone, Debug, Default, PartialEq)]
pub(super) struct Module {
    /// `SFP`, `QSFP`, `CMIS`.
    pub(super) form: &'static str,
    pub(super) vendor: String,
    pub(super) part: String,
    /// °C.
    pub(super) temperature: Option<f64>,
    /// V.
    pub(super) voltage: Option<f64>,
    /// From lane 1 on.
    pub(super) lanes: Vec<Lane>,
    /// °C, V, A, W of transmitters, W at receivers.
    pub(super) limits: [Option<Limits>; 5],
    /// Whether light is missing, and whether the transmitter has failed; of SFP alone.
    pub(super) receive_lost: Option<bool>,
    pub(super) transmit_failed: Option<bool>,
}

/// One lane.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub(super) struct Lane {
    /// A.
    pub(super) bias: Option<f64>,
    /// W.
    pub(super) transmit: Option<f64>,
    /// W.
    pub(super) receive: Option<f64>,
}

/// Units of the memory in one °C, V, A and W: 1/256 °C, 100 µV, 2 µA, 0.1 µW.
const TEMPERATURE_UNITS: f64 = 256.0;
const VOLTAGE_UNITS: f64 = 10_000.0;
const BIAS_UNITS: f64 = 500_000.0;
const POWER_UNITS: f64 = 10_000_000.0;

const QSFP_LANES: usize = 4;

/// `None` where it is no module of a known form, or too short for what it says that it has.
pub(super) fn parse(memory: &[u8]) -> Option<Module> {
    match memory.first()? {
        0x03 | 0x0B => sfp(memory),
        0x0C | 0x0D | 0x11 => qsfp(memory),
        0x18..=0x1B | 0x1E | 0x1F => cmis(memory),
        _ => None,
    }
}

fn word(memory: &[u8], at: usize) -> Option<u16> {
    Some(u16::from_be_bytes(*memory.get(at..)?.first_chunk()?))
}

fn signed(memory: &[u8], at: usize) -> Option<i16> {
    Some(i16::from_be_bytes(*memory.get(at..)?.first_chunk()?))
}

fn name(memory: &[u8], at: usize) -> String {
    const NAME_BYTES: usize = 16;
    memory
        .get(at..at + NAME_BYTES)
        .map(text)
        .unwrap_or_default()
}

/// Four limits, one after the other.
fn limits(at: usize, read: impl Fn(usize) -> Option<f64>) -> Option<Limits> {
    let mut limits = [0.0; 4];
    for (n, limit) in limits.iter_mut().enumerate() {
        *limit = read(at + 2 * n)?;
    }
    // a maker who sets none leaves zeros
    limits.iter().any(|limit| *limit != 0.0).then_some(limits)
}

// ---- SFF-8472 -----------------------------------------------------------------------------------------------------

/// Where A2h begins, and the byte of A0h that says what diagnostics there are.
const A2H: usize = 256;
const DIAGNOSTICS: usize = 92;

fn sfp(memory: &[u8]) -> Option<Module> {
    const IMPLEMENTED: u8 = 1 << 6;
    const INTERNAL: u8 = 1 << 5;
    const EXTERNAL: u8 = 1 << 4;
    let mut module = Module {
        form: "SFP",
        vendor: name(memory, 20),
        part: name(memory, 40),
        ..Module::default()
    };
    let kind = *memory.get(DIAGNOSTICS)?;
    let page = memory.get(A2H..);
    let Some(page) = page.filter(|page| kind & IMPLEMENTED != 0 && page.len() >= 128) else {
        return Some(module);
    };
    let sum = page
        .iter()
        .take(95)
        .fold(0_u8, |sum, byte| sum.wrapping_add(*byte));
    let calibration = match kind & (INTERNAL | EXTERNAL) {
        INTERNAL => Calibration::internal(),
        // the constants are worth nothing where their sum is wrong
        EXTERNAL if page.get(95) == Some(&sum) => Calibration::external(page)?,
        _ => return Some(module),
    };
    let temperature = |at| Some(calibration.temperature(signed(page, at)?));
    let voltage = |at| Some(calibration.voltage(word(page, at)?));
    let bias = |at| Some(calibration.bias(word(page, at)?));
    let transmit = |at| Some(calibration.transmit(word(page, at)?));
    let receive = |at| Some(calibration.receive(word(page, at)?));
    module.temperature = temperature(96).filter(|number| number.is_finite());
    module.voltage = voltage(98);
    module.lanes = vec![Lane {
        bias: bias(100),
        transmit: transmit(102),
        receive: receive(104).filter(|number| number.is_finite()),
    }];
    if page.get(95) == Some(&sum) {
        module.limits = [
            limits(0, temperature),
            limits(8, voltage),
            limits(16, bias),
            limits(24, transmit),
            limits(32, receive),
        ];
    }
    let status = *page.get(110)?;
    module.transmit_failed = Some(status & 1 << 2 != 0);
    module.receive_lost = Some(status & 1 << 1 != 0);
    Some(module)
}

/// How numbers of the converter become readings: by the module, or by constants that it brings (SFF-8472, External
/// Calibration).
#[derive(Clone, Copy, Debug)]
struct Calibration {
    /// Slope and offset of temperature, voltage, bias, transmitted power.
    lines: [(f64, f64); 4],
    /// Coefficients of received power, from the constant one up.
    receive: [f64; 5],
}

impl Calibration {
    const fn internal() -> Self {
        Self {
            lines: [(1.0, 0.0); 4],
            receive: [0.0, 1.0, 0.0, 0.0, 0.0],
        }
    }

    fn external(page: &[u8]) -> Option<Self> {
        const SLOPE_UNITS: f64 = 256.0;
        let line = |at| {
            let slope = f64::from(word(page, at)?) / SLOPE_UNITS;
            Some((slope, f64::from(signed(page, at + 2)?)))
        };
        // the highest power stands first
        let coefficient = |at: usize| {
            let bytes = page.get(at..)?.first_chunk()?;
            let number = f64::from(f32::from_be_bytes(*bytes));
            number.is_finite().then_some(number)
        };
        Some(Self {
            lines: [line(84)?, line(88)?, line(76)?, line(80)?],
            receive: [
                coefficient(72)?,
                coefficient(68)?,
                coefficient(64)?,
                coefficient(60)?,
                coefficient(56)?,
            ],
        })
    }

    fn temperature(&self, number: i16) -> f64 {
        let [(slope, offset), ..] = self.lines;
        slope.mul_add(f64::from(number), offset) / TEMPERATURE_UNITS
    }

    fn voltage(&self, number: u16) -> f64 {
        let [_, (slope, offset), ..] = self.lines;
        slope.mul_add(f64::from(number), offset) / VOLTAGE_UNITS
    }

    fn bias(&self, number: u16) -> f64 {
        let [_, _, (slope, offset), _] = self.lines;
        slope.mul_add(f64::from(number), offset).max(0.0) / BIAS_UNITS
    }

    fn transmit(&self, number: u16) -> f64 {
        let [.., (slope, offset)] = self.lines;
        slope.mul_add(f64::from(number), offset).max(0.0) / POWER_UNITS
    }

    fn receive(&self, number: u16) -> f64 {
        let number = f64::from(number);
        let coefficients = self.receive.iter().rev();
        let power = coefficients.fold(0.0_f64, |sum, one| sum.mul_add(number, *one));
        power.max(0.0) / POWER_UNITS
    }
}

// ---- SFF-8636 -----------------------------------------------------------------------------------------------------

fn qsfp(memory: &[u8]) -> Option<Module> {
    const DIAGNOSTICS: usize = 220;
    const TRANSMIT_POWER: u8 = 1 << 2;
    /// Where drivers put page 3, whose own addresses begin at 128.
    const PAGE_3: usize = 512 - 128;
    let temperature = |at| Some(f64::from(signed(memory, at)?) / TEMPERATURE_UNITS);
    let of = |units: f64| move |at| Some(f64::from(word(memory, at)?) / units);
    let has_transmit = memory.get(DIAGNOSTICS)? & TRANSMIT_POWER != 0;
    // a cable without electronics shows zeros
    let is_blank = memory.get(22..58)?.iter().all(|byte| *byte == 0);
    let mut module = Module {
        form: "QSFP",
        vendor: name(memory, 148),
        part: name(memory, 168),
        ..Module::default()
    };
    if is_blank {
        return Some(module);
    }
    module.temperature = temperature(22);
    module.voltage = of(VOLTAGE_UNITS)(26).filter(|volts| *volts > 0.0);
    module.lanes = (0..QSFP_LANES)
        .map(|lane| Lane {
            receive: of(POWER_UNITS)(34 + 2 * lane),
            bias: of(BIAS_UNITS)(42 + 2 * lane),
            transmit: of(POWER_UNITS)(50 + 2 * lane).filter(|_| has_transmit),
        })
        .collect();
    module.limits = [
        limits(PAGE_3 + 128, temperature),
        limits(PAGE_3 + 144, of(VOLTAGE_UNITS)),
        limits(PAGE_3 + 184, of(BIAS_UNITS)),
        limits(PAGE_3 + 192, of(POWER_UNITS)),
        limits(PAGE_3 + 176, of(POWER_UNITS)),
    ];
    Some(module)
}

// ---- CMIS ---------------------------------------------------------------------------------------------------------

fn cmis(memory: &[u8]) -> Option<Module> {
    let temperature = f64::from(signed(memory, 14)?) / TEMPERATURE_UNITS;
    let voltage = f64::from(word(memory, 16)?) / VOLTAGE_UNITS;
    let is_blank = memory.get(14..18)?.iter().all(|byte| *byte == 0);
    Some(Module {
        form: "CMIS",
        vendor: name(memory, 129),
        part: name(memory, 148),
        temperature: (!is_blank).then_some(temperature),
        voltage: (voltage > 0.0).then_some(voltage),
        ..Module::default()
    })
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn put(memory: &mut [u8], at: usize, bytes: &[u8]) {
        memory[at..at + bytes.len()].copy_from_slice(bytes);
    }

    fn close(found: Option<f64>, expected: f64) {
        let found = found.unwrap();
        assert!(
            (found - expected).abs() < expected.abs() * 1e-9 + 1e-15,
            "{found} {expected}"
        );
    }

    fn sfp_memory(kind: u8) -> Vec<u8> {
        let mut memory = vec![0; 512];
        put(&mut memory, 0, &[3]);
        put(&mut memory, 20, b"EXAMPLE OPTICS  ");
        put(&mut memory, 40, b"SFP-10G-SR      ");
        put(&mut memory, 92, &[kind]);
        // limits of the temperature: 80, -10, 75, -5 °C
        put(&mut memory, A2H, &[80, 0, 246, 0, 75, 0, 251, 0]);
        // 33.5 °C, 3.2965 V, 6 mA, 0.5 mW, 0.4 mW
        put(&mut memory, A2H + 96, &[33, 128]);
        put(&mut memory, A2H + 98, &32_965_u16.to_be_bytes());
        put(&mut memory, A2H + 100, &3000_u16.to_be_bytes());
        put(&mut memory, A2H + 102, &5000_u16.to_be_bytes());
        put(&mut memory, A2H + 104, &4000_u16.to_be_bytes());
        put(&mut memory, A2H + 110, &[0b10]);
        seal(&mut memory);
        memory
    }

    fn seal(memory: &mut [u8]) {
        let page = &memory[A2H..A2H + 95];
        memory[A2H + 95] = page.iter().fold(0, |sum, byte| sum.wrapping_add(*byte));
    }

    #[test]
    fn an_sfp_that_calibrates_itself() {
        let module = parse(&sfp_memory(0x68)).unwrap();
        assert_eq!(
            (module.form, &*module.vendor, &*module.part),
            ("SFP", "EXAMPLE OPTICS", "SFP-10G-SR")
        );
        close(module.temperature, 33.5);
        close(module.voltage, 3.2965);
        close(module.lanes[0].bias, 6e-3);
        close(module.lanes[0].transmit, 0.5e-3);
        close(module.lanes[0].receive, 0.4e-3);
        assert_eq!(module.limits[0], Some([80.0, -10.0, 75.0, -5.0]));
        assert_eq!(module.limits[1], None);
        assert_eq!(
            (module.receive_lost, module.transmit_failed),
            (Some(true), Some(false))
        );
    }

    #[test]
    fn an_sfp_that_leaves_calibration_to_the_reader() {
        let mut memory = sfp_memory(0x58);
        let mut constant = |at: usize, bytes: &[u8]| put(&mut memory, A2H + at, bytes);
        // received power: 10 + 0.5 n; slopes 2, 1, 1.5, 0.5; offsets 256, 0, 100, -1000
        constant(68, &0.5_f32.to_be_bytes());
        constant(72, &10_f32.to_be_bytes());
        constant(76, &[1, 128, 0, 100]);
        constant(80, &[0, 128]);
        constant(82, &(-1000_i16).to_be_bytes());
        constant(84, &[2, 0, 1, 0]);
        constant(88, &[1, 0, 0, 0]);
        seal(&mut memory);
        let module = parse(&memory).unwrap();
        close(module.temperature, 33.5 * 2.0 + 1.0);
        close(module.voltage, 3.2965);
        close(module.lanes[0].bias, (1.5 * 3000.0 + 100.0) * 2e-6);
        close(module.lanes[0].transmit, (0.5 * 5000.0 - 1000.0) * 0.1e-6);
        close(module.lanes[0].receive, (10.0 + 0.5 * 4000.0) * 0.1e-6);
        assert_eq!(module.limits[0].unwrap()[0], 80.0 * 2.0 + 1.0);
        // constants whose sum is wrong calibrate nothing
        memory[A2H + 95] ^= 1;
        assert_eq!(parse(&memory).unwrap().temperature, None);
    }

    #[test]
    fn a_qsfp_has_four_lanes() {
        let mut memory = vec![0; 640];
        put(&mut memory, 0, &[0x11]);
        put(&mut memory, 22, &[40, 64]);
        put(&mut memory, 26, &33_000_u16.to_be_bytes());
        for lane in 0..4_u16 {
            let at = usize::from(lane) * 2;
            put(&mut memory, 34 + at, &(8000 + lane).to_be_bytes());
            put(&mut memory, 42 + at, &3500_u16.to_be_bytes());
            put(&mut memory, 50 + at, &9000_u16.to_be_bytes());
        }
        put(&mut memory, 148, b"EXAMPLE         ");
        put(&mut memory, 512 + 48, &20_000_u16.to_be_bytes());
        let module = parse(&memory).unwrap();
        close(module.temperature, 40.25);
        assert_eq!(module.lanes.len(), 4);
        close(module.lanes[3].receive, 8003.0 * 0.1e-6);
        close(module.lanes[0].bias, 7e-3);
        // it does not say that it measures what it sends
        assert_eq!(module.lanes[0].transmit, None);
        close(module.limits[4].map(|limits| limits[0]), 2e-3);
        memory[220] = 0x0C;
        close(parse(&memory).unwrap().lanes[0].transmit, 0.9e-3);
        memory[22..58].fill(0);
        assert!(parse(&memory).unwrap().lanes.is_empty());
    }

    #[test]
    fn a_cmis_module_shows_temperature_and_voltage() {
        let mut memory = vec![0; 256];
        put(&mut memory, 0, &[0x18]);
        put(&mut memory, 14, &[45, 0]);
        put(&mut memory, 16, &32_800_u16.to_be_bytes());
        put(&mut memory, 129, b"EXAMPLE         ");
        let module = parse(&memory).unwrap();
        close(module.temperature, 45.0);
        close(module.voltage, 3.28);
        assert!(module.lanes.is_empty());
    }

    proptest! {
        #[test]
        fn any_memory_decodes_or_does_not(
            form in proptest::sample::select(vec![0x03_u8, 0x11, 0x18, 0x00]),
            memory in proptest::collection::vec(any::<u8>(), 0..700),
        ) {
            let mut memory = memory;
            if let Some(first) = memory.first_mut() {
                *first = form;
            }
            if let Some(module) = parse(&memory) {
                let readings = [module.temperature, module.voltage];
                let lanes = module.lanes.iter().flat_map(|lane| [lane.bias, lane.transmit, lane.receive]);
                prop_assert!(readings.into_iter().chain(lanes).flatten().all(f64::is_finite));
            }
        }
    }
}
