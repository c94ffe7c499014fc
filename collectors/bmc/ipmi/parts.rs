//! Inventories of parts, one a run: reading one takes tens of requests, and none of it changes while a machine runs.

use std::collections::VecDeque;

use glasshouse_core::collector::SampleWriter;
use glasshouse_core::fact::FactDefinition;
use glasshouse_core::hardware::LimitType;
use glasshouse_core::sample::Value;

use super::asking::{AskError, Asking};
use super::decode::Bytes;
use super::decode::fru::{self, Inventory};
use super::decode::sdr::FruLocator;
use super::metrics as is;
use super::place::Place;
use super::request::{BMC_ADDRESS, Request};

/// The most parts that are read.
const MOST_PARTS: usize = 64;

/// The most bytes of one inventory that are read: names stand at its start.
const MOST_BYTES: u16 = 2048;

/// Bytes asked at once: every BMC can give as many.
const CHUNK: u8 = 16;

/// Parts and what is known of them.
#[derive(Debug, Default)]
pub(crate) struct Parts {
    waiting: VecDeque<(u8, String)>,
    read: Vec<(String, Inventory)>,
}

impl Parts {
    /// Begins again with the parts of new SDRs. The BMC's own inventory, device 0, has a record on few boards.
    pub(crate) fn look_up(&mut self, locators: &[FruLocator]) {
        let mut parts = vec![(0, "system".to_owned())];
        for locator in locators {
            let device = locator.device.filter(|_| locator.address == BMC_ADDRESS);
            if let Some(device) = device
                && device != 0
                && !parts.iter().any(|(known, _)| *known == device)
            {
                parts.push((device, locator.entity.name()));
            }
        }
        parts.truncate(MOST_PARTS);
        self.waiting = parts.into();
        self.read.clear();
    }

    /// Reads the next part, where one waits.
    pub(crate) fn read_next(
        &mut self,
        asking: &mut Asking<'_>,
        out: &mut dyn SampleWriter,
    ) -> Result<(), AskError> {
        let Some((device, name)) = self.waiting.front().cloned() else {
            return Ok(());
        };
        let read = read(device, asking, out);
        if !matches!(read, Err(AskError::Lost(_))) {
            self.waiting.pop_front();
        }
        match read {
            Ok(inventory) => self.read.push((name, inventory)),
            // an empty slot, or a part that is off
            Err(AskError::Refused { .. } | AskError::Malformed(_)) => {}
            Err(error) => return Err(error),
        }
        Ok(())
    }

    /// Writes all facts that are known.
    pub(crate) fn write(&self, place: &Place, out: &mut dyn SampleWriter) {
        for (index, (name, inventory)) in self.read.iter().enumerate() {
            // several parts of one entity, such as a board and its riser
            let earlier = self.read.iter().take(index);
            let same = earlier.filter(|(other, _)| other == name).count();
            let name = match same {
                0 => name.clone(),
                more => format!("{name}#{}", more + 1),
            };
            write(&place.component(&format!("fru/{name}")), inventory, out);
            if let Some(watts) = inventory.capacity_watts {
                let labels = [
                    &*place.id(&format!("fru/{name}")),
                    inventory.product.as_deref().unwrap_or("Power supply"),
                    &*place.parent(&name),
                    LimitType::RatedMax.word(),
                ];
                out.sample(is::POWER_LIMIT, &labels, Value::F64(f64::from(watts)));
            }
        }
    }
}

fn write(component: &str, inventory: &Inventory, out: &mut dyn SampleWriter) {
    // the product where there is one, else the board that it is
    let facts: [(&'static FactDefinition, [&Option<String>; 3]); 4] = [
        (
            is::VENDOR,
            [
                &inventory.manufacturer,
                &inventory.board_manufacturer,
                &None,
            ],
        ),
        (
            is::MODEL,
            [&inventory.product, &inventory.board_product, &None],
        ),
        (
            is::PART_NUMBER,
            [
                &inventory.part_number,
                &inventory.board_part_number,
                &inventory.chassis_part_number,
            ],
        ),
        (is::VERSION, [&inventory.version, &None, &None]),
    ];
    for (fact, values) in facts {
        if let Some(value) = values.into_iter().flatten().next() {
            out.fact(fact, component, value);
        }
    }
}

fn read(
    device: u8,
    asking: &mut Asking<'_>,
    out: &mut dyn SampleWriter,
) -> Result<Inventory, AskError> {
    let info = asking.ask(&Request::GetFruInventoryAreaInfo(device), out)?;
    let info = Bytes::new("a reply to Get FRU Inventory Area Info", &info);
    let size = info.word(0)?.min(MOST_BYTES);
    // offsets and counts in words where the part says so
    let unit: u8 = if info.byte(2)? & 1 != 0 { 2 } else { 1 };
    let mut data = Vec::new();
    while data.len() < usize::from(size) {
        let left = usize::from(size) - data.len();
        let wanted = u8::try_from(left).unwrap_or(CHUNK).min(CHUNK);
        let offset = u16::try_from(data.len() / usize::from(unit)).unwrap_or(u16::MAX);
        let request = Request::ReadFruData(device, offset, wanted.div_ceil(unit));
        let reply = match asking.ask(&request, out) {
            // some BMCs say a size that they cannot give
            Err(AskError::Refused { .. }) if !data.is_empty() => break,
            reply => reply?,
        };
        let bytes = reply.get(1..).unwrap_or_default();
        if bytes.is_empty() {
            break;
        }
        data.extend_from_slice(bytes);
        // an inventory that is none is not worth the rest
        if data.len() >= fru::HEADER_BYTES && data.len() <= usize::from(CHUNK) {
            fru::decode(&data)?;
        }
    }
    Ok(fru::decode(&data)?)
}
