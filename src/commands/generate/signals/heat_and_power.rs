//! Signals of faults of power, heat and cooling.

use super::By::{Condition, Log, Metric, NotAvailable};
use super::{Fault, fault, signal};

pub(super) static FAULTS: &[Fault] = &[
    fault(
        "1",
        "CPU thermal throttle",
        &[
            signal(
                "throttle count and time",
                &[
                    Metric("system.cpu.linux.throttle.count"),
                    Metric("system.cpu.linux.throttle.time"),
                ],
            ),
            signal(
                "thermal interrupts",
                &[Metric("system.linux.trouble_interrupts")],
            ),
            signal(
                "clock against base, temperature against its limit",
                &[
                    Metric("system.cpu.frequency"),
                    Metric("system.cpu.linux.frequency.limit"),
                    Metric("hw.temperature"),
                    Metric("hw.temperature.limit"),
                ],
            ),
            signal(
                "processor events of the BMC, messages of the kernel",
                &[
                    Log("sel 07h/*"),
                    Log("redfish *"),
                    Log("kernel thermal_throttle"),
                    Log("kernel thermal_critical"),
                ],
            ),
            signal(
                "processor metrics of Redfish",
                &[
                    Metric("hw.errors"),
                    NotAvailable(
                        "of `ProcessorMetrics`, errors are read and throttle durations are not: on the machine itself the kernel counts them",
                    ),
                ],
            ),
        ],
    ),
    fault(
        "2",
        "GPU thermal slowdown",
        &[
            signal("reasons for the clock", &[Metric("hw.gpu.clock.event")]),
            signal(
                "time lost to heat",
                &[Metric("hw.gpu.clock.violation.time")],
            ),
            signal(
                "temperature, its margin, their limits",
                &[
                    Metric("hw.temperature"),
                    Metric("hw.temperature.limit"),
                    Metric("hw.gpu.temperature.margin"),
                    Metric("hw.gpu.temperature.margin.limit"),
                ],
            ),
        ],
    ),
    fault(
        "3",
        "GPU power brake",
        &[
            signal("reasons for the clock", &[Metric("hw.gpu.clock.event")]),
            signal(
                "power supplies and caps beside it",
                &[Metric("hw.power.limit"), Log("sel 08h/*")],
            ),
        ],
    ),
    fault(
        "4",
        "Power cap in force",
        &[
            signal(
                "limits that are set and rated",
                &[
                    Metric("hw.power.limit"),
                    Metric("hw.power.limit.window"),
                    Metric("hw.power.limit.enabled"),
                ],
            ),
            signal(
                "limit of the machine by DCMI or Redfish",
                &[Metric("hw.power.limit")],
            ),
            signal(
                "power cap as reason for the clock",
                &[Metric("hw.gpu.clock.event")],
            ),
        ],
    ),
    fault(
        "5",
        "Power supply: redundancy or input lost, failing",
        &[
            signal(
                "power supply and redundancy events",
                &[Log("sel 08h/*"), Log("sel 09h/*"), Log("redfish *")],
            ),
            signal("status", &[Metric("hw.status"), Metric("hw.sensor.state")]),
            signal("alarms of PMBus supplies", &[Metric("hw.sensor.alarm")]),
            signal(
                "mains and batteries",
                &[
                    Metric("hw.power_supply.online"),
                    Metric("hw.battery.charge"),
                ],
            ),
        ],
    ),
    fault(
        "6",
        "Power supply: imbalance or efficiency",
        &[signal(
            "input and output power, voltage",
            &[
                Metric("hw.power"),
                Metric("hw.voltage"),
                Metric("hw.current"),
            ],
        )],
    ),
    fault(
        "7",
        "Fan failing",
        &[
            signal(
                "speed, limits, duty, target",
                &[
                    Metric("hw.fan.speed"),
                    Metric("hw.fan.speed.limit"),
                    Metric("hw.fan.duty.ratio"),
                    Metric("hw.fan.speed.target"),
                ],
            ),
            signal(
                "faults and alarms",
                &[
                    Metric("hw.sensor.fault"),
                    Metric("hw.sensor.alarm"),
                    Log("sel 04h/*"),
                ],
            ),
            signal(
                "share of the highest speed by Redfish",
                &[Metric("hw.fan.speed_ratio")],
            ),
        ],
    ),
    fault(
        "8",
        "Thermal resistance drift, leaks",
        &[
            signal(
                "temperatures of dies and inlet, power",
                &[
                    Metric("hw.temperature"),
                    Metric("hw.power"),
                    Metric("hw.energy"),
                ],
            ),
            signal("leaks", &[Condition("cooling.leak"), Metric("hw.status")]),
            signal(
                "coolant temperatures and pumps",
                &[
                    Metric("hw.temperature"),
                    Metric("hw.sensor.reading"),
                    NotAvailable(
                        "read where a BMC has a sensor for them; coolant loops and pumps as such (Redfish `ThermalEquipment`) are not read yet",
                    ),
                ],
            ),
        ],
    ),
    fault(
        "9",
        "Wall-power residual",
        &[
            signal("power at the wall, by source", &[Metric("hw.host.power")]),
            signal(
                "what its parts use",
                &[
                    Metric("hw.energy"),
                    Metric("hw.power"),
                    Metric("hw.fan.speed"),
                ],
            ),
        ],
    ),
];
