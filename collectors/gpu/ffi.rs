//! What nvml-wrapper does not offer, or does not offer safely, by the bindings of `nvml.h`.
//!
//! * functions that it lacks: signed temperature, margin, reasons by their new name, remapped rows, fabric;
//! * texts: it reads them until a zero that nothing promises, here they are bounded;
//! * field values with a scope, and of all types; sets of events that survive a GPU that refuses.
//!
//! This is the one place of the room with `unsafe`. Every function of the library is looked up when the library is
//! loaded, and one that is missing costs its own answer. Only those are called that `allowed()` lists.

#![expect(unsafe_code, reason = "the library of the driver has a C interface")]

use std::ffi::{c_char, c_uint};
use std::fmt;
use std::mem::size_of;
use std::time::Duration;

use nvml_wrapper::Device;
use nvml_wrapper_sys::bindings as c;

use crate::nvidia::{Answer, Field, MOST_NUMBERS, Number, Question, Refusal, Text, one, several};

/// The library, with the functions that were found in it. The library must have been begun, and must not be ended
/// before this is dropped: `Loaded` holds both.
pub(crate) struct Raw {
    functions: c::NvmlLib,
}

impl fmt::Debug for Raw {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Raw")
    }
}

/// Room for any text: the longest that `nvml.h` speaks of, a device's name, has 96 bytes.
const TEXT_BYTES: usize = 128;

/// `nvmlEventTypeXidCriticalError`.
const XID_EVENTS: u64 = 8;

impl Raw {
    /// Loads the library, and looks for its functions.
    pub(crate) fn open(path: &str) -> Result<Self, Refusal> {
        // SAFETY: loading runs the initializers of the library, which is the driver's own; the wrapper has just loaded
        // the same file, so they have run already.
        let functions = unsafe { c::NvmlLib::new(path) }
            .map_err(|error| Refusal::NoLibrary(error.to_string()))?;
        found(&functions.nvmlShutdown)?;
        Ok(Self { functions })
    }

    /// A GPU of the same library.
    pub(crate) fn gpu<'l>(&'l self, device: &Device<'l>) -> RawGpu<'l> {
        // SAFETY: the handle is used as long as the library is begun, which the borrow holds.
        let handle = unsafe { device.handle() };
        RawGpu {
            handle,
            functions: &self.functions,
        }
    }

    pub(crate) fn driver_version(&self) -> Result<String, Refusal> {
        let function = found(&self.functions.nvmlSystemGetDriverVersion)?;
        text(|buffer, length| {
            // SAFETY: `buffer` has room for `length` bytes.
            unsafe { function(buffer, length) }
        })
    }

    /// A new set of events, empty.
    pub(crate) fn events(&self) -> Result<RawEvents<'_>, Refusal> {
        found(&self.functions.nvmlEventSetFree)?;
        let create = found(&self.functions.nvmlEventSetCreate)?;
        let mut set: c::nvmlEventSet_t = std::ptr::null_mut();
        // SAFETY: `set` is a place for the handle of the set.
        success(unsafe { create(&raw mut set) })?;
        Ok(RawEvents {
            set,
            functions: &self.functions,
            registered: Vec::new(),
        })
    }
}

/// One GPU of a begun library.
pub(crate) struct RawGpu<'l> {
    handle: c::nvmlDevice_t,
    functions: &'l c::NvmlLib,
}

impl fmt::Debug for RawGpu<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "RawGpu({:?})", self.handle)
    }
}

impl RawGpu<'_> {
    /// The address on the bus, `00000000:17:00.0`.
    pub(crate) fn address(&self) -> Result<String, Refusal> {
        let empty = c::nvmlPciInfo_t {
            busIdLegacy: [0; 16],
            domain: 0,
            bus: 0,
            device: 0,
            pciDeviceId: 0,
            pciSubSystemId: 0,
            busId: [0; 32],
        };
        let info = self.fill(&self.functions.nvmlDeviceGetPciInfo_v3, empty)?;
        bounded(&info.busId)
    }

    pub(crate) fn text(&self, which: Text) -> Result<String, Refusal> {
        let functions = self.functions;
        let function = match which {
            Text::Name => found(&functions.nvmlDeviceGetName)?,
            Text::Vbios => found(&functions.nvmlDeviceGetVbiosVersion)?,
            Text::InfoRom => found(&functions.nvmlDeviceGetInforomImageVersion)?,
            Text::PartNumber => found(&functions.nvmlDeviceGetBoardPartNumber)?,
        };
        text(|buffer, length| {
            // SAFETY: the handle is of this library; `buffer` has room for `length` bytes.
            unsafe { function(self.handle, buffer, length) }
        })
    }

    /// What [`Question`] lists and the wrapper does not answer; the rest is not supported here.
    pub(crate) fn ask(&self, question: &Question) -> Result<Answer, Refusal> {
        let functions = self.functions;
        match question {
            Question::TemperatureV => {
                let empty = c::nvmlTemperature_t {
                    version: version::<c::nvmlTemperature_t>(1),
                    sensorType: c::nvmlTemperatureSensors_enum_NVML_TEMPERATURE_GPU,
                    temperature: 0,
                };
                let filled = self.fill(&functions.nvmlDeviceGetTemperatureV, empty)?;
                Ok(signed(filled.temperature))
            }
            Question::Margin => {
                let empty = c::nvmlMarginTemperature_t {
                    version: version::<c::nvmlMarginTemperature_t>(1),
                    marginTemperature: 0,
                };
                let filled = self.fill(&functions.nvmlDeviceGetMarginTemperature, empty)?;
                Ok(signed(filled.marginTemperature))
            }
            Question::EventReasons => {
                let function = &functions.nvmlDeviceGetCurrentClocksEventReasons;
                Ok(one(self.fill(function, 0)?))
            }
            Question::ThrottleReasons => {
                let function = &functions.nvmlDeviceGetCurrentClocksThrottleReasons;
                Ok(one(self.fill(function, 0)?))
            }
            Question::Memory => self.memory(),
            Question::RemappedRows => self.remapped_rows(),
            Question::RowHistogram => self.row_histogram(),
            Question::RetiredPages(cause) => self.retired_pages(cause.as_c()),
            Question::FabricV3 => self.fabric(version::<c::nvmlGpuFabricInfo_v3_t>(3)),
            Question::FabricV2 => self.fabric(version::<c::nvmlGpuFabricInfo_v2_t>(2)),
            _ => Err(Refusal::NotSupported),
        }
    }

    fn memory(&self) -> Result<Answer, Refusal> {
        let empty = c::nvmlMemory_t {
            total: 0,
            free: 0,
            used: 0,
        };
        let memory = self.fill(&self.functions.nvmlDeviceGetMemoryInfo, empty)?;
        Ok(several([memory.total, 0, memory.free, memory.used]))
    }

    fn remapped_rows(&self) -> Result<Answer, Refusal> {
        let function = found(&self.functions.nvmlDeviceGetRemappedRows)?;
        let mut rows: [c_uint; 4] = [0; 4];
        let [corrected, uncorrected, pending, failure] = &mut rows;
        // SAFETY: the handle is of this library; the others are places for one number each.
        success(unsafe { function(self.handle, corrected, uncorrected, pending, failure) })?;
        Ok(several(rows))
    }

    fn row_histogram(&self) -> Result<Answer, Refusal> {
        let empty = c::nvmlRowRemapperHistogramValues_t {
            max: 0,
            high: 0,
            partial: 0,
            low: 0,
            none: 0,
        };
        let banks = self.fill(&self.functions.nvmlDeviceGetRowRemapperHistogram, empty)?;
        Ok(several([
            banks.max,
            banks.high,
            banks.partial,
            banks.low,
            banks.none,
        ]))
    }

    /// The count alone: with no room for addresses the library tells how many there are.
    fn retired_pages(&self, cause: c::nvmlPageRetirementCause_t) -> Result<Answer, Refusal> {
        let function = found(&self.functions.nvmlDeviceGetRetiredPages)?;
        let mut pages: c_uint = 0;
        // SAFETY: the handle is of this library; with a count of 0 the library writes the count alone.
        let code = unsafe { function(self.handle, cause, &raw mut pages, std::ptr::null_mut()) };
        if code != c::nvmlReturn_enum_NVML_ERROR_INSUFFICIENT_SIZE {
            success(code)?;
        }
        Ok(one(pages))
    }

    /// An older version of the structure is the beginning of the newer one.
    fn fabric(&self, version: c_uint) -> Result<Answer, Refusal> {
        let empty = c::nvmlGpuFabricInfoV_t {
            version,
            clusterUuid: [0; 16],
            status: 0,
            cliqueId: 0,
            state: 0,
            healthMask: 0,
            healthSummary: 0,
        };
        let fabric = self.fill(&self.functions.nvmlDeviceGetGpuFabricInfoV, empty)?;
        Ok(several([
            fabric.status,
            c_uint::from(fabric.state),
            fabric.healthMask,
            c_uint::from(fabric.healthSummary),
        ]))
    }

    /// All in one call, which is what the driver is quickest with.
    pub(crate) fn fields(&self, fields: &[Field]) -> Result<Vec<Result<Number, Refusal>>, Refusal> {
        let function = found(&self.functions.nvmlDeviceGetFieldValues)?;
        let mut values: Vec<c::nvmlFieldValue_t> = fields
            .iter()
            .map(|field| c::nvmlFieldValue_t {
                fieldId: field.id,
                scopeId: field.scope,
                timestamp: 0,
                latencyUsec: 0,
                valueType: 0,
                // what the library leaves alone was not answered
                nvmlReturn: c::nvmlReturn_enum_NVML_ERROR_NOT_SUPPORTED,
                value: c::nvmlValue_t { ullVal: 0 },
            })
            .collect();
        let count = i32::try_from(values.len())
            .map_err(|_| Refusal::Malformed("more fields than a call takes".to_owned()))?;
        // SAFETY: the handle is of this library; `values` has `count` entries.
        success(unsafe { function(self.handle, count, values.as_mut_ptr()) })?;
        Ok(values
            .iter()
            .map(|value| {
                success(value.nvmlReturn)?;
                number(value)
            })
            .collect())
    }

    pub(crate) fn can_raise_events(&self) -> Result<bool, Refusal> {
        let types = self.fill(&self.functions.nvmlDeviceGetSupportedEventTypes, 0)?;
        Ok(types & XID_EVENTS != 0)
    }

    /// Calls a getter that fills one structure.
    fn fill<T, E>(&self, function: &Result<Getter<T>, E>, mut value: T) -> Result<T, Refusal> {
        let function = found(function)?;
        // SAFETY: the handle is of this library; `value` is a place for what the function fills, by its type.
        success(unsafe { function(self.handle, &raw mut value) })?;
        Ok(value)
    }
}

/// A function that fills one structure about a GPU.
type Getter<T> = unsafe extern "C" fn(c::nvmlDevice_t, *mut T) -> c::nvmlReturn_t;

/// A set of events, freed when it is dropped.
pub(crate) struct RawEvents<'l> {
    set: c::nvmlEventSet_t,
    functions: &'l c::NvmlLib,
    /// GPUs by their handles, to know whose an event is.
    registered: Vec<(c::nvmlDevice_t, u32)>,
}

impl fmt::Debug for RawEvents<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "RawEvents({} GPUs)", self.registered.len())
    }
}

impl RawEvents<'_> {
    pub(crate) fn register(&mut self, index: u32, gpu: &RawGpu<'_>) -> Result<(), Refusal> {
        let function = found(&self.functions.nvmlDeviceRegisterEvents)?;
        // SAFETY: handle and set are of this library.
        success(unsafe { function(gpu.handle, XID_EVENTS, self.set) })?;
        self.registered.push((gpu.handle, index));
        Ok(())
    }

    /// Whose event, and its number. None in time is [`Refusal::Timeout`].
    pub(crate) fn next(&self, wait: Duration) -> Result<(Option<u32>, u64), Refusal> {
        let function = found(&self.functions.nvmlEventSetWait_v2)?;
        let milliseconds = u32::try_from(wait.as_millis()).unwrap_or(u32::MAX);
        let mut event = c::nvmlEventData_t {
            device: std::ptr::null_mut(),
            eventType: 0,
            eventData: 0,
            gpuInstanceId: 0,
            computeInstanceId: 0,
        };
        // SAFETY: the set is of this library; `event` is a place for one event.
        success(unsafe { function(self.set, &raw mut event, milliseconds) })?;
        if event.eventType & XID_EVENTS == 0 {
            return Err(Refusal::Malformed(format!(
                "an event of type {}",
                event.eventType
            )));
        }
        let index = self
            .registered
            .iter()
            .find(|(handle, _)| *handle == event.device)
            .map(|(_, index)| *index);
        Ok((index, event.eventData))
    }
}

impl Drop for RawEvents<'_> {
    fn drop(&mut self) {
        if let Ok(free) = &self.functions.nvmlEventSetFree {
            // SAFETY: the set is of this library and is not used after this.
            unsafe { free(self.set) };
        }
    }
}

/// The function, if the library has it.
fn found<F, E>(function: &Result<F, E>) -> Result<&F, Refusal> {
    function.as_ref().map_err(|_| Refusal::MissingFunction)
}

fn success(code: c::nvmlReturn_t) -> Result<(), Refusal> {
    match code {
        c::nvmlReturn_enum_NVML_SUCCESS => Ok(()),
        code => Err(Refusal::from_code(code)),
    }
}

/// `NVML_STRUCT_VERSION`: the size below, the number of the version above.
fn version<T>(number: c_uint) -> c_uint {
    c_uint::try_from(size_of::<T>()).unwrap_or(0) | (number << 24)
}

fn signed(number: i32) -> Answer {
    one(i64::from(number).cast_unsigned())
}

/// Gives a function a place for text, and reads what it wrote, up to its zero.
fn text(call: impl FnOnce(*mut c_char, c_uint) -> c::nvmlReturn_t) -> Result<String, Refusal> {
    let mut buffer: [c_char; TEXT_BYTES] = [0; TEXT_BYTES];
    let length = c_uint::try_from(buffer.len()).unwrap_or(0);
    success(call(buffer.as_mut_ptr(), length))?;
    bounded(&buffer)
}

/// Text up to its zero, which must be there.
fn bounded(buffer: &[c_char]) -> Result<String, Refusal> {
    let bytes: Vec<u8> = buffer
        .iter()
        .take_while(|character| **character != 0)
        .map(|character| u8::from_ne_bytes(character.to_ne_bytes()))
        .collect();
    if bytes.len() == buffer.len() {
        return Err(Refusal::Malformed("text without an end".to_owned()));
    }
    String::from_utf8(bytes).map_err(|_| Refusal::Malformed("text that is not UTF-8".to_owned()))
}

/// The number of the type that the library says: all are plain numbers, so every pattern of bits is one.
fn number(field: &c::nvmlFieldValue_t) -> Result<Number, Refusal> {
    let value = field.value;
    // SAFETY: every member of the union is a number, for which all bits are valid; the union was filled with zeros.
    unsafe {
        match field.valueType {
            0 => Ok(Number::Real(value.dVal)),
            1 => Ok(Number::Whole(u64::from(value.uiVal))),
            2 => Ok(Number::Whole(value.ulVal)),
            3 => Ok(Number::Whole(value.ullVal)),
            4 => Ok(Number::Signed(value.sllVal)),
            5 => Ok(Number::Signed(i64::from(value.siVal))),
            6 => Ok(Number::Whole(u64::from(value.usVal))),
            other => Err(Refusal::Malformed(format!("a value of type {other}"))),
        }
    }
}

/// The most numbers of an answer are those of the histogram.
const _: () = assert!(MOST_NUMBERS >= 5);

#[cfg(test)]
mod tests {
    use super::*;

    /// Sizes as a C compiler lays the structures of `nvml.h` out on 64-bit Linux.
    #[test]
    fn structures_are_laid_out_as_in_c() {
        assert_eq!(size_of::<c::nvmlTemperature_t>(), 12);
        assert_eq!(size_of::<c::nvmlMarginTemperature_t>(), 8);
        assert_eq!(size_of::<c::nvmlGpuFabricInfo_v2_t>(), 36);
        assert_eq!(size_of::<c::nvmlGpuFabricInfo_v3_t>(), 40);
        assert_eq!(size_of::<c::nvmlFieldValue_t>(), 40);
        assert_eq!(size_of::<c::nvmlEventData_t>(), 32);
        assert_eq!(size_of::<c::nvmlPciInfo_t>(), 68);
        assert_eq!(version::<c::nvmlGpuFabricInfo_v3_t>(3), 0x0300_0028);
        assert_eq!(version::<c::nvmlMarginTemperature_t>(1), 0x0100_0008);
    }

    #[test]
    fn text_ends_at_its_zero_and_never_beyond_its_room() {
        let bytes = |text: &[u8]| -> Vec<c_char> {
            text.iter()
                .map(|byte| c_char::from_ne_bytes(byte.to_ne_bytes()))
                .collect()
        };
        assert_eq!(bounded(&bytes(b"H200\0x")), Ok("H200".to_owned()));
        assert_eq!(bounded(&bytes(b"\0")), Ok(String::new()));
        assert!(bounded(&bytes(b"H200")).is_err());
        assert!(bounded(&bytes(b"\xff\xfe\0")).is_err());
        let all = |buffer: *mut c_char, length: c_uint| {
            // SAFETY: `buffer` has room for `length` bytes.
            unsafe { std::ptr::write_bytes(buffer, b'x', length as usize) };
            0
        };
        assert!(text(all).is_err());
    }
}
