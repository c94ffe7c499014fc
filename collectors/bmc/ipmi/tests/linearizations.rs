//! Formats, factors, curves, tolerance and accuracy against values worked out by hand from sections 36.3 to 36.5.

use crate::ipmi::decode::factors::{AnalogFormat, Curve, Factors, Linearization};

const PLAIN: Factors = Factors {
    multiplier: 1,
    offset: 0,
    offset_exponent: 0,
    result_exponent: 0,
    tolerance: 0,
    accuracy: 0,
    accuracy_exponent: 0,
};

fn is_near(found: f64, wanted: f64) -> bool {
    (found - wanted).abs() <= 1e-9 * wanted.abs().max(1.0)
}

#[test]
fn raw_bytes_are_numbers_in_each_format() {
    let cases = [
        (0, 0x00, 0.0),
        (0, 0x7f, 127.0),
        (0, 0x80, 128.0),
        (0, 0xff, 255.0),
        (1, 0x00, 0.0),
        (1, 0x05, 5.0),
        (1, 0x7f, 127.0),
        (1, 0xfe, -1.0),
        (1, 0x80, -127.0),
        (1, 0xff, 0.0),
        (2, 0x00, 0.0),
        (2, 0x7f, 127.0),
        (2, 0xff, -1.0),
        (2, 0xf6, -10.0),
        (2, 0x80, -128.0),
    ];
    for (format, raw, number) in cases {
        let format = AnalogFormat::of(format << 6).unwrap();
        assert!(is_near(format.number(raw), number), "{format:?} {raw:#04x}");
    }
    assert_eq!(AnalogFormat::of(0xc0), None);
}

#[test]
fn factors_have_their_signs() {
    type Signed = (i16, i16, i8, i8);
    // six bytes as in a record, and M, B, K1, K2
    let cases: [([u8; 6], Signed); 8] = [
        ([1, 0, 0, 0, 0, 0], (1, 0, 0, 0)),
        ([0xff, 0x40, 0, 0, 0, 0], (511, 0, 0, 0)),
        ([0xff, 0xc0, 0, 0, 0, 0], (-1, 0, 0, 0)),
        ([0x00, 0x80, 0, 0, 0, 0], (-512, 0, 0, 0)),
        ([1, 0, 0x80, 0xc0, 0, 0], (1, -128, 0, 0)),
        ([1, 0, 0xff, 0x40, 0, 0x7f], (1, 511, -1, 7)),
        ([1, 0, 0, 0, 0, 0x88], (1, 0, -8, -8)),
        ([1, 0x3f, 0, 0x3f, 0xff, 0xe2], (1, 0, 2, -2)),
    ];
    for (bytes, wanted) in cases {
        let found = Factors::decode(&bytes).unwrap();
        let found = (
            found.multiplier,
            found.offset,
            found.offset_exponent,
            found.result_exponent,
        );
        assert_eq!(found, wanted, "{bytes:02x?}");
    }
    assert!(Factors::decode(&[1, 2, 3, 4, 5]).is_err());
}

#[test]
fn the_linear_formula_is_m_x_plus_b_with_both_exponents() {
    // M, B, K1, K2, raw, value
    let cases = [
        (1, 0, 0, 0, 24, 24.0),
        (75, 0, 0, 0, 100, 7500.0),
        (6, 0, 0, -2, 201, 12.06),
        (16, 0, 0, -3, 206, 3.296),
        (1, 5, 2, 0, 1, 501.0),
        (-1, 100, 0, 0, 10, 90.0),
        (511, 0, 0, 0, 2, 1022.0),
        (-300, 0, 0, 0, 2, -600.0),
        (1, -128, 0, 0, 200, 72.0),
        (2, 3, -1, 1, 10, 203.0),
        (0, 5, 0, 0, 255, 5.0),
    ];
    for (multiplier, offset, offset_exponent, result_exponent, raw, wanted) in cases {
        let factors = Factors {
            multiplier,
            offset,
            offset_exponent,
            result_exponent,
            ..PLAIN
        };
        let found = factors
            .value(AnalogFormat::Unsigned, Curve::Linear, raw)
            .unwrap();
        assert!(is_near(found, wanted), "{factors:?} {raw}: {found}");
    }
}

#[test]
fn every_curve_is_the_one_of_its_number() {
    use std::f64::consts::{E, LN_10};
    // number of the curve, x, value
    let cases = [
        (0, 20, 20.0),
        (1, 10, LN_10),
        (2, 100, 2.0),
        (3, 32, 5.0),
        (4, 2, E * E),
        (5, 3, 1000.0),
        (6, 10, 1024.0),
        (7, 4, 0.25),
        (8, 5, 25.0),
        (9, 3, 27.0),
        (10, 144, 12.0),
        (11, 125, 5.0),
    ];
    for (number, raw, wanted) in cases {
        let Some(Linearization::Known(curve)) = Linearization::of(number) else {
            panic!("{number} is no curve");
        };
        let found = PLAIN.value(AnalogFormat::Unsigned, curve, raw).unwrap();
        assert!(is_near(found, wanted), "{curve:?}: {found} for {wanted}");
    }
    for number in 12..0x70 {
        assert_eq!(Linearization::of(number), None, "{number:#x} is reserved");
    }
    for number in 0x70..=0x7f {
        assert_eq!(Linearization::of(number), Some(Linearization::NonLinear));
    }
    // bit 7 is reserved
    assert_eq!(Linearization::of(0x88), Linearization::of(0x08));
}

#[test]
fn a_curve_without_a_value_has_none() {
    let value = |curve, raw| PLAIN.value(AnalogFormat::TwosComplement, curve, raw);
    assert_eq!(value(Curve::Ln, 0), None);
    assert_eq!(value(Curve::Log10, 0xff), None);
    assert_eq!(value(Curve::Log2, 0), None);
    assert_eq!(value(Curve::Inverse, 0), None);
    assert_eq!(value(Curve::SquareRoot, 0xff), None);
    assert!(is_near(value(Curve::CubeRoot, 0xf8).unwrap(), -2.0));
}

#[test]
fn tolerance_is_in_half_counts_and_goes_through_the_curve() {
    let with = |multiplier, result_exponent, tolerance| Factors {
        multiplier,
        result_exponent,
        tolerance,
        ..PLAIN
    };
    let cases = [
        (with(1, 0, 0), Curve::Linear, 50, 0.0),
        (with(1, 0, 1), Curve::Linear, 50, 0.5),
        (with(2, 0, 3), Curve::Linear, 50, 3.0),
        (with(-2, 0, 3), Curve::Linear, 50, 3.0),
        (with(6, -2, 2), Curve::Linear, 201, 0.06),
        // 11² − 10² is more than 10² − 9²
        (with(1, 0, 2), Curve::Square, 10, 21.0),
        // 1/4 − 1/5 is more than 1/5 − 1/6
        (with(1, 0, 2), Curve::Inverse, 5, 0.05),
        // the side without a value does not count
        (with(1, 0, 2), Curve::Log2, 1, 1.0),
    ];
    for (factors, curve, raw, wanted) in cases {
        let found = factors
            .tolerance_at(AnalogFormat::Unsigned, curve, raw)
            .unwrap();
        assert!(
            is_near(found, wanted),
            "{curve:?} {raw}: {found} for {wanted}"
        );
    }
    let none = with(1, 0, 2).tolerance_at(AnalogFormat::Unsigned, Curve::Ln, 0);
    assert_eq!(none, None);
}

#[test]
fn accuracy_is_in_hundredths_of_a_percent_with_an_exponent() {
    // six low bits, four high ones, exponent
    let cases: [([u8; 6], f64); 4] = [
        ([1, 0, 0, 0x01, 0x00, 0], 0.01),
        ([1, 0, 0, 0x24, 0x10, 0], 1.0),
        ([1, 0, 0, 0x01, 0x08, 0], 1.0),
        ([1, 0, 0, 0x3f, 0xf0, 0], 10.23),
    ];
    for (bytes, wanted) in cases {
        let found = Factors::decode(&bytes).unwrap().accuracy_percent();
        assert!(is_near(found, wanted), "{bytes:02x?}: {found}");
    }
}
