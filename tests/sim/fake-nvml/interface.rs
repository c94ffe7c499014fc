//! The functions, by the shapes of their arguments.

use std::ffi::{c_char, c_int, c_uint, c_ulonglong, c_void};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use crate::state::{
    INSUFFICIENT_SIZE, INVALID_ARGUMENT, NOT_SUPPORTED, Return, STEP, SUCCESS, State, TIMEOUT,
    call, numbers,
};

/// A GPU: its index and 1.
type Device = *mut c_void;

fn code(result: Result<(), Return>) -> Return {
    result.err().unwrap_or(SUCCESS)
}

/// Fills one structure, or one number.
unsafe fn put<T>(out: *mut T, value: T) -> Result<(), Return> {
    if out.is_null() {
        return Err(INVALID_ARGUMENT);
    }
    // SAFETY: the caller of the library gives a place for a value of this type.
    unsafe { out.write(value) };
    Ok(())
}

/// Fills text with its zero; or, if the state says so, all of its room without one.
unsafe fn put_text(
    state: &State,
    function: &str,
    said: &str,
    out: *mut c_char,
    room: c_uint,
) -> Result<(), Return> {
    let room = room as usize;
    let is_endless = state.said(&format!("text {function}")) == Some("endless");
    if out.is_null() {
        return Err(INVALID_ARGUMENT);
    }
    if is_endless {
        // SAFETY: the caller gives `room` bytes.
        unsafe { std::ptr::write_bytes(out, b'x', room) };
        return Ok(());
    }
    if said.len() + 1 > room {
        return Err(INSUFFICIENT_SIZE);
    }
    // SAFETY: the text and its zero fit into the `room` bytes that the caller gives.
    unsafe {
        std::ptr::copy_nonoverlapping(said.as_ptr().cast(), out, said.len());
        out.add(said.len()).write(0);
    }
    Ok(())
}

/// Getters of one number: with no, one, two or three numbers as arguments.
macro_rules! number {
    ($type:ty: $($function:ident($($argument:ident),*)),+ $(,)?) => { $(
        #[unsafe(no_mangle)]
        pub unsafe extern "C" fn $function(gpu: Device, $($argument: c_uint,)* out: *mut $type) -> Return {
            let name = stringify!($function);
            let state = call(name);
            let answer = state.answer(gpu as usize, name, &[$($argument),*]);
            // SAFETY: as of `nvml.h`.
            code(answer.and_then(numbers::<$type, 1>).and_then(|[number]| unsafe { put(out, number) }))
        }
    )+ };
}

number!(c_uint:
    nvmlDeviceGetPowerUsage(),
    nvmlDeviceGetEnforcedPowerLimit(),
    nvmlDeviceGetPowerManagementLimit(),
    nvmlDeviceGetPowerManagementDefaultLimit(),
    nvmlDeviceGetPerformanceState(),
    nvmlDeviceGetPersistenceMode(),
    nvmlDeviceGetComputeMode(),
    nvmlDeviceGetRetiredPagesPendingStatus(),
    nvmlDeviceGetCurrPcieLinkGeneration(),
    nvmlDeviceGetMaxPcieLinkGeneration(),
    nvmlDeviceGetCurrPcieLinkWidth(),
    nvmlDeviceGetMaxPcieLinkWidth(),
    nvmlDeviceGetPcieReplayCounter(),
    nvmlDeviceGetMaxMigDeviceCount(),
    nvmlDeviceGetNumFans(),
    nvmlDeviceGetClockInfo(clock),
    nvmlDeviceGetMaxClockInfo(clock),
    nvmlDeviceGetTemperatureThreshold(threshold),
    nvmlDeviceGetPcieThroughput(direction),
    nvmlDeviceGetNvLinkState(link),
    nvmlDeviceGetFanSpeed_v2(fan),
);

number!(c_ulonglong:
    nvmlDeviceGetTotalEnergyConsumption(),
    nvmlDeviceGetCurrentClocksEventReasons(),
    nvmlDeviceGetCurrentClocksThrottleReasons(),
    nvmlDeviceGetSupportedEventTypes(),
    nvmlDeviceGetTotalEccErrors(error, span),
    nvmlDeviceGetMemoryErrorCounter(error, span, place),
    nvmlDeviceGetNvLinkErrorCounter(link, kind),
);

/// Getters of several numbers, each with a place of its own.
macro_rules! pair {
    ($($function:ident),+ $(,)?) => { $(
        #[unsafe(no_mangle)]
        pub unsafe extern "C" fn $function(gpu: Device, first: *mut c_uint, second: *mut c_uint) -> Return {
            let name = stringify!($function);
            let state = call(name);
            let answer = state.answer(gpu as usize, name, &[]).and_then(numbers::<c_uint, 2>);
            // SAFETY: as of `nvml.h`.
            code(answer.and_then(|[one, other]| unsafe { put(first, one).and_then(|()| put(second, other)) }))
        }
    )+ };
}

pair!(
    nvmlDeviceGetEncoderUtilization,
    nvmlDeviceGetDecoderUtilization,
    nvmlDeviceGetPowerManagementLimitConstraints,
    nvmlDeviceGetEccMode,
    nvmlDeviceGetMigMode,
);

/// Getters of text.
macro_rules! text {
    ($($function:ident),+ $(,)?) => { $(
        #[unsafe(no_mangle)]
        pub unsafe extern "C" fn $function(gpu: Device, out: *mut c_char, room: c_uint) -> Return {
            let name = stringify!($function);
            let state = call(name);
            let answer = state.answer(gpu as usize, name, &[]);
            // SAFETY: as of `nvml.h`.
            code(answer.and_then(|said| unsafe { put_text(&state, name, said, out, room) }))
        }
    )+ };
}

text!(
    nvmlDeviceGetName,
    nvmlDeviceGetVbiosVersion,
    nvmlDeviceGetInforomImageVersion,
    nvmlDeviceGetBoardPartNumber,
);

/// Getters of a structure: its fields in the order of the state's numbers.
macro_rules! structure {
    ($function:ident, $structure:ident { $($field:ident: $type:ty),+ }, $number:ty, [$($name:ident),+]) => {
        #[repr(C)]
        pub struct $structure { $($field: $type),+ }

        #[unsafe(no_mangle)]
        pub unsafe extern "C" fn $function(gpu: Device, out: *mut $structure) -> Return {
            let name = stringify!($function);
            let state = call(name);
            let answer = state.answer(gpu as usize, name, &[]);
            let answer = answer.and_then(numbers::<$number, { [$(stringify!($name)),+].len() }>);
            // SAFETY: as of `nvml.h`: a structure that the caller has filled as far as the library reads it.
            code(answer.and_then(|[$($name),+]| unsafe {
                if out.is_null() { return Err(INVALID_ARGUMENT); }
                $((*out).$name = $name;)+
                Ok(())
            }))
        }
    };
}

structure!(
    nvmlDeviceGetUtilizationRates,
    Utilization {
        gpu: c_uint,
        memory: c_uint
    },
    c_uint,
    [gpu, memory]
);
structure!(
    nvmlDeviceGetMemoryInfo_v2,
    MemoryV2 {
        version: c_uint,
        total: u64,
        reserved: u64,
        free: u64,
        used: u64
    },
    u64,
    [total, reserved, free, used]
);
structure!(
    nvmlDeviceGetBAR1MemoryInfo,
    Bar1 {
        total: u64,
        free: u64,
        used: u64
    },
    u64,
    [total, free, used]
);
structure!(
    nvmlDeviceGetTemperatureV,
    TemperatureV {
        version: c_uint,
        sensor: c_uint,
        temperature: c_int
    },
    c_int,
    [temperature]
);
structure!(
    nvmlDeviceGetMarginTemperature,
    Margin {
        version: c_uint,
        margin: c_int
    },
    c_int,
    [margin]
);
structure!(
    nvmlDeviceGetRowRemapperHistogram,
    Banks {
        most: c_uint,
        high: c_uint,
        partial: c_uint,
        low: c_uint,
        none: c_uint
    },
    c_uint,
    [most, high, partial, low, none]
);

#[repr(C)]
pub struct Memory {
    total: u64,
    free: u64,
    used: u64,
}

#[unsafe(no_mangle)]
pub unsafe extern "C" fn nvmlDeviceGetMemoryInfo(gpu: Device, out: *mut Memory) -> Return {
    let name = "nvmlDeviceGetMemoryInfo";
    let state = call(name);
    let answer = state
        .answer(gpu as usize, name, &[])
        .and_then(numbers::<u64, 4>);
    // SAFETY: as of `nvml.h`.
    code(
        answer.and_then(|[total, _, free, used]| unsafe { put(out, Memory { total, free, used }) }),
    )
}

#[unsafe(no_mangle)]
pub unsafe extern "C" fn nvmlDeviceGetTemperature(
    gpu: Device,
    _sensor: c_uint,
    out: *mut c_uint,
) -> Return {
    let name = "nvmlDeviceGetTemperature";
    let state = call(name);
    let answer = state
        .answer(gpu as usize, name, &[])
        .and_then(numbers::<c_uint, 1>);
    // SAFETY: as of `nvml.h`.
    code(answer.and_then(|[degrees]| unsafe { put(out, degrees) }))
}

#[repr(C)]
pub struct Violation {
    reference: u64,
    violation: u64,
}

#[unsafe(no_mangle)]
pub unsafe extern "C" fn nvmlDeviceGetViolationStatus(
    gpu: Device,
    policy: c_uint,
    out: *mut Violation,
) -> Return {
    let name = "nvmlDeviceGetViolationStatus";
    let state = call(name);
    let answer = state
        .answer(gpu as usize, name, &[policy])
        .and_then(numbers::<u64, 2>);
    // SAFETY: as of `nvml.h`.
    code(answer.and_then(|[reference, violation]| unsafe {
        put(
            out,
            Violation {
                reference,
                violation,
            },
        )
    }))
}

#[unsafe(no_mangle)]
pub unsafe extern "C" fn nvmlDeviceGetRemappedRows(
    gpu: Device,
    corrected: *mut c_uint,
    uncorrected: *mut c_uint,
    pending: *mut c_uint,
    failure: *mut c_uint,
) -> Return {
    let name = "nvmlDeviceGetRemappedRows";
    let state = call(name);
    let answer = state
        .answer(gpu as usize, name, &[])
        .and_then(numbers::<c_uint, 4>);
    code(answer.and_then(|rows| {
        for (out, rows) in [corrected, uncorrected, pending, failure]
            .into_iter()
            .zip(rows)
        {
            // SAFETY: as of `nvml.h`.
            unsafe { put(out, rows) }?;
        }
        Ok(())
    }))
}

/// Lists whose length alone is told: there is never room for an entry.
unsafe fn put_count(answer: Result<&str, Return>, count: *mut c_uint) -> Return {
    match answer.and_then(numbers::<c_uint, 1>) {
        // SAFETY: as of `nvml.h`.
        Ok([found]) => match unsafe { put(count, found) } {
            Ok(()) if found == 0 => SUCCESS,
            Ok(()) => INSUFFICIENT_SIZE,
            Err(code) => code,
        },
        Err(code) => code,
    }
}

#[unsafe(no_mangle)]
pub unsafe extern "C" fn nvmlDeviceGetRetiredPages(
    gpu: Device,
    cause: c_uint,
    count: *mut c_uint,
    _addresses: *mut c_ulonglong,
) -> Return {
    let name = "nvmlDeviceGetRetiredPages";
    let state = call(name);
    // SAFETY: as of `nvml.h`.
    unsafe { put_count(state.answer(gpu as usize, name, &[cause]), count) }
}

#[unsafe(no_mangle)]
pub unsafe extern "C" fn nvmlDeviceGetComputeRunningProcesses_v3(
    gpu: Device,
    count: *mut c_uint,
    _list: *mut c_void,
) -> Return {
    let name = "nvmlDeviceGetComputeRunningProcesses_v3";
    let state = call(name);
    // SAFETY: as of `nvml.h`.
    unsafe { put_count(state.answer(gpu as usize, name, &[]), count) }
}

#[unsafe(no_mangle)]
pub unsafe extern "C" fn nvmlDeviceGetGraphicsRunningProcesses_v3(
    gpu: Device,
    count: *mut c_uint,
    _list: *mut c_void,
) -> Return {
    let name = "nvmlDeviceGetGraphicsRunningProcesses_v3";
    let state = call(name);
    // SAFETY: as of `nvml.h`.
    unsafe { put_count(state.answer(gpu as usize, name, &[]), count) }
}

#[unsafe(no_mangle)]
pub unsafe extern "C" fn nvmlDeviceGetMigDeviceHandleByIndex(
    gpu: Device,
    index: c_uint,
    out: *mut Device,
) -> Return {
    let name = "nvmlDeviceGetMigDeviceHandleByIndex";
    let state = call(name);
    let answer = state.answer(gpu as usize, name, &[index]);
    // SAFETY: as of `nvml.h`.
    code(answer.and_then(|_| unsafe { put(out, gpu) }))
}

#[repr(C)]
pub struct Fabric {
    version: c_uint,
    cluster: [u8; 16],
    status: Return,
    clique: c_uint,
    state: u8,
    health: c_uint,
    summary: u8,
}

/// The version stands in the key: `nvmlDeviceGetGpuFabricInfoV.3`.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn nvmlDeviceGetGpuFabricInfoV(gpu: Device, out: *mut Fabric) -> Return {
    let name = "nvmlDeviceGetGpuFabricInfoV";
    let state = call(name);
    if out.is_null() {
        return INVALID_ARGUMENT;
    }
    // SAFETY: as of `nvml.h`: the caller has filled the version.
    let version = unsafe { (*out).version } >> 24;
    let answer = state
        .answer(gpu as usize, name, &[version])
        .and_then(numbers::<c_uint, 4>);
    code(answer.map(|[status, progress, health, summary]| {
        // SAFETY: as of `nvml.h`; the second version ends before the summary.
        unsafe {
            (*out).status = status;
            (*out).state = u8::try_from(progress).unwrap_or(u8::MAX);
            (*out).health = health;
            if version > 2 {
                (*out).summary = u8::try_from(summary).unwrap_or(u8::MAX);
            }
        }
    }))
}

#[repr(C)]
pub struct FieldValue {
    field: c_uint,
    scope: c_uint,
    timestamp: i64,
    latency: i64,
    kind: c_uint,
    code: Return,
    value: [u8; 8],
}

#[unsafe(no_mangle)]
pub unsafe extern "C" fn nvmlDeviceGetFieldValues(
    gpu: Device,
    count: c_int,
    values: *mut FieldValue,
) -> Return {
    let name = "nvmlDeviceGetFieldValues";
    let state = call(name);
    if let Err(code) = state.answer(gpu as usize, name, &[])
        && code != NOT_SUPPORTED
    {
        return code;
    }
    for place in 0..usize::try_from(count).unwrap_or(0) {
        // SAFETY: as of `nvml.h`: there are `count` values.
        let value = unsafe { &mut *values.add(place) };
        match state
            .answer(gpu as usize, name, &[value.field, value.scope])
            .and_then(field)
        {
            Ok((kind, bits)) => {
                value.kind = kind;
                value.value = bits;
                value.code = SUCCESS;
            }
            Err(code) => value.code = code,
        }
    }
    SUCCESS
}

/// Type and value: `1 26562`, `0 1.5`, `5 -2`.
fn field(said: &str) -> Result<(c_uint, [u8; 8]), Return> {
    let (kind, value) = said.split_once(' ').ok_or(INVALID_ARGUMENT)?;
    let kind = kind.parse().map_err(|_| INVALID_ARGUMENT)?;
    let bits = match kind {
        0 => value.parse::<f64>().map(f64::to_ne_bytes).ok(),
        4 | 5 => value.parse::<i64>().map(i64::to_ne_bytes).ok(),
        _ => value.parse::<u64>().map(u64::to_ne_bytes).ok(),
    };
    Ok((kind, bits.ok_or(INVALID_ARGUMENT)?))
}

#[unsafe(no_mangle)]
pub extern "C" fn nvmlInit_v2() -> Return {
    let state = call("nvmlInit_v2");
    // an event is told once to each that begins
    TOLD.store(0, Ordering::Relaxed);
    match state.answer(0, "nvmlInit_v2", &[]) {
        Err(NOT_SUPPORTED) | Ok(_) => SUCCESS,
        Err(code) => code,
    }
}

#[unsafe(no_mangle)]
pub extern "C" fn nvmlShutdown() -> Return {
    call("nvmlShutdown");
    SUCCESS
}

#[unsafe(no_mangle)]
pub unsafe extern "C" fn nvmlSystemGetDriverVersion(out: *mut c_char, room: c_uint) -> Return {
    let name = "nvmlSystemGetDriverVersion";
    let state = call(name);
    let answer = state.answer(0, name, &[]);
    // SAFETY: as of `nvml.h`.
    code(answer.and_then(|said| unsafe { put_text(&state, name, said, out, room) }))
}

#[unsafe(no_mangle)]
pub unsafe extern "C" fn nvmlSystemGetCudaDriverVersion_v2(out: *mut c_int) -> Return {
    let name = "nvmlSystemGetCudaDriverVersion_v2";
    let state = call(name);
    let answer = state.answer(0, name, &[]).and_then(numbers::<c_int, 1>);
    // SAFETY: as of `nvml.h`.
    code(answer.and_then(|[version]| unsafe { put(out, version) }))
}

#[unsafe(no_mangle)]
pub unsafe extern "C" fn nvmlDeviceGetCount_v2(out: *mut c_uint) -> Return {
    let state = call("nvmlDeviceGetCount_v2");
    if let Err(code) = state.answer(0, "nvmlDeviceGetCount_v2", &[])
        && code != NOT_SUPPORTED
    {
        return code;
    }
    // SAFETY: as of `nvml.h`.
    code(unsafe { put(out, state.gpus()) })
}

#[unsafe(no_mangle)]
pub unsafe extern "C" fn nvmlDeviceGetHandleByIndex_v2(index: c_uint, out: *mut Device) -> Return {
    let name = "nvmlDeviceGetHandleByIndex_v2";
    let state = call(name);
    if index >= state.gpus() {
        return INVALID_ARGUMENT;
    }
    let handle = index as usize + 1;
    match state.answer(handle, name, &[]) {
        // SAFETY: as of `nvml.h`.
        Err(NOT_SUPPORTED) | Ok(_) => code(unsafe { put(out, handle as Device) }),
        Err(code) => code,
    }
}

#[repr(C)]
pub struct PciInfo {
    legacy: [c_char; 16],
    domain: c_uint,
    bus: c_uint,
    device: c_uint,
    id: c_uint,
    subsystem: c_uint,
    address: [c_char; 32],
}

#[unsafe(no_mangle)]
pub unsafe extern "C" fn nvmlDeviceGetPciInfo_v3(gpu: Device, out: *mut PciInfo) -> Return {
    let name = "nvmlDeviceGetPciInfo_v3";
    let state = call(name);
    let answer = state.answer(gpu as usize, name, &[]);
    code(answer.and_then(|said| {
        if out.is_null() {
            return Err(INVALID_ARGUMENT);
        }
        // SAFETY: as of `nvml.h`.
        let address = unsafe { &raw mut (*out).address };
        // SAFETY: the address has 32 bytes.
        unsafe { put_text(&state, name, said, address.cast(), 32) }
    }))
}

// events: every line `xid.N GPU NUMBER`, N counted from 1, is told once

static TOLD: AtomicUsize = AtomicUsize::new(0);

#[repr(C)]
pub struct Event {
    device: Device,
    kind: c_ulonglong,
    data: c_ulonglong,
    gpu_instance: c_uint,
    compute_instance: c_uint,
}

/// `nvmlEventTypeXidCriticalError`.
const XID: c_ulonglong = 8;

#[unsafe(no_mangle)]
pub unsafe extern "C" fn nvmlEventSetCreate(out: *mut *mut c_void) -> Return {
    call("nvmlEventSetCreate");
    // SAFETY: as of `nvml.h`.
    code(unsafe { put(out, std::ptr::dangling_mut()) })
}

#[unsafe(no_mangle)]
pub extern "C" fn nvmlEventSetFree(_set: *mut c_void) -> Return {
    call("nvmlEventSetFree");
    SUCCESS
}

#[unsafe(no_mangle)]
pub extern "C" fn nvmlDeviceRegisterEvents(
    gpu: Device,
    _types: c_ulonglong,
    _set: *mut c_void,
) -> Return {
    let name = "nvmlDeviceRegisterEvents";
    match call(name).answer(gpu as usize, name, &[]) {
        Err(NOT_SUPPORTED) | Ok(_) => SUCCESS,
        Err(code) => code,
    }
}

#[unsafe(no_mangle)]
pub unsafe extern "C" fn nvmlEventSetWait_v2(
    _set: *mut c_void,
    out: *mut Event,
    milliseconds: c_uint,
) -> Return {
    let name = "nvmlEventSetWait_v2";
    let mut state = call(name);
    let end = Instant::now() + Duration::from_millis(u64::from(milliseconds));
    loop {
        if let Err(code) = state.answer(0, name, &[])
            && code != NOT_SUPPORTED
        {
            return code;
        }
        let next = TOLD.load(Ordering::Relaxed) + 1;
        if let Some(said) = state.said(&format!("xid.{next}")) {
            TOLD.store(next, Ordering::Relaxed);
            return code(numbers::<u32, 2>(said).and_then(|[gpu, number]| {
                let event = Event {
                    device: (gpu as usize + 1) as Device,
                    kind: XID,
                    data: u64::from(number),
                    gpu_instance: u32::MAX,
                    compute_instance: u32::MAX,
                };
                // SAFETY: as of `nvml.h`.
                unsafe { put(out, event) }
            }));
        }
        if Instant::now() >= end {
            return TIMEOUT;
        }
        std::thread::sleep(STEP);
        state.refresh();
    }
}
