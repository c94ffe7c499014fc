//! nv-redfish's generated types as a peer: what they parse, over the same read-only client, is what the lenient
//! readers say; and what they lose is counted.

use std::sync::Arc;

use glasshouse_sim::redfish::FakeBmc;
use glasshouse_sysfs::SysRoot;
use nv_redfish::ServiceRoot;
use nv_redfish_core::{Bmc, BmcError, EntityTypeRef, ODataId, Raw};

use super::super::client::Client;
use super::super::error::RequestError;
use super::super::reader::Reader;
use super::super::settings;
use super::recorded::machine;
use super::rig::{PRESSED, Rig, options, table, write_password};

fn reader(bmc: &FakeBmc, root: &std::path::Path) -> Arc<Reader> {
    write_password(root);
    let table = table(bmc.address());
    let (_, settings) = settings::parse(&options(vec![("r1".to_owned(), table)])).remove(0);
    let client = Client::new(settings.unwrap(), SysRoot::new(root), PRESSED.deadlines).unwrap();
    Arc::new(Reader(Arc::new(client)))
}

fn run<T>(future: impl Future<Output = T>) -> T {
    tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .unwrap()
        .block_on(future)
}

/// Path and reading of every sensor that the generated types parse, and how many they lose.
async fn typed_sensors(reader: Arc<Reader>) -> (Vec<(String, Option<f64>)>, usize) {
    let root = ServiceRoot::new(reader).await.unwrap();
    let chassis = root.chassis().await.unwrap().unwrap();
    let (mut found, mut lost) = (Vec::new(), 0);
    for one in chassis.members().await.unwrap() {
        let Ok(Some(links)) = one.sensor_links().await else {
            continue;
        };
        for link in links {
            match link.fetch().await {
                Ok(sensor) => found.push((sensor.odata_id().to_string(), sensor.reading.flatten())),
                Err(_) => lost += 1,
            }
        }
    }
    (found, lost)
}

fn compare(name: &str) {
    let Some((_kept, folder)) = machine(name) else {
        return;
    };
    let mut rig = Rig::of_folder(folder);
    let told = rig.settle();
    let root = tempfile::tempdir().unwrap();
    let (sensors, lost) = run(typed_sensors(reader(&rig.bmc, root.path())));
    let mut same = 0;
    for (path, reading) in &sensors {
        let id = format!("r1/{}", path.strip_prefix("/redfish/v1/").unwrap());
        let valued = told.samples.values().find(|sample| {
            sample.labels[0] == id
                && sample.metric.name != "hw.status"
                && !sample.metric.name.ends_with(".limit")
                && sample.value.is_ok()
        });
        let Some(sample) = valued else { continue };
        let said = sample.value.unwrap().as_f64();
        let factor = if sample.metric.unit == "1" {
            100.0
        } else {
            1.0
        };
        assert!((said * factor - reading.unwrap()).abs() < 1e-9, "{path}");
        same += 1;
    }
    println!(
        "{name}: the peer parsed {} sensors and lost {lost}; {same} measured values are the same",
        sensors.len()
    );
    assert!(same >= 33);
}

#[test]
fn values_of_a_dell_are_the_peers() {
    compare("dell_poweredge_r750");
}

#[test]
fn values_of_a_lenovo_are_the_peers() {
    compare("lenovo_thinksystem_sr670");
}

/// Why the readers are our own: one sensor with a number in quotes, and the generated type has none of it.
#[test]
fn the_peer_loses_a_sensor_with_its_number_in_quotes() {
    let sensor = serde_json::json!({
        "@odata.id": "/redfish/v1/Chassis/New/Sensors/Inlet", "@odata.type": "#Sensor.v1_3_0.Sensor",
        "Id": "Inlet", "Name": "Inlet", "Reading": "21.5", "ReadingUnits": "Cel", "ReadingType": "Temperature",
    });
    let mut tree = super::small::tree();
    tree.insert("/redfish/v1/Chassis/New/Sensors/Inlet".to_owned(), sensor);
    let mut rig = Rig::of_documents(tree);
    let told = rig.settle();
    assert_eq!(
        told.value("hw.temperature", super::small::SENSOR),
        Some(21.5)
    );
    let root = tempfile::tempdir().unwrap();
    let (sensors, lost) = run(typed_sensors(reader(&rig.bmc, root.path())));
    println!("the peer parsed {} and lost {lost}", sensors.len());
    assert!(lost >= 1);
}

/// One chassis without the property that the schema requires, and the generated types give no chassis at all.
#[test]
fn the_peer_loses_all_chassis_over_one_without_its_type() {
    let mut tree = super::small::tree();
    let old = tree.get_mut("/redfish/v1/Chassis/Old").unwrap();
    old.as_object_mut().unwrap().remove("ChassisType");
    let mut rig = Rig::of_documents(tree);
    let told = rig.settle();
    assert!(told.value("hw.temperature", super::small::SENSOR).is_some());
    let root = tempfile::tempdir().unwrap();
    let reader = reader(&rig.bmc, root.path());
    let lost = run(async {
        let root = ServiceRoot::new(reader).await.unwrap();
        match root.chassis().await {
            Ok(Some(chassis)) => chassis.members().await.is_err(),
            Ok(None) => false,
            Err(_) => true,
        }
    });
    assert!(lost);
}

/// The trait of the library can ask for more than reading; the client cannot say it.
#[test]
fn nothing_but_reading_goes_through_the_librarys_trait() {
    let bmc = FakeBmc::serve(super::small::tree(), None).unwrap();
    let root = tempfile::tempdir().unwrap();
    let reader = reader(&bmc, root.path());
    run(async {
        let chassis = || ODataId::from("/redfish/v1/Chassis".to_owned());
        assert!(reader.get::<Raw>(&chassis()).await.is_ok());
        let refused = |outcome: Result<(), RequestError>| {
            assert!(matches!(outcome, Err(RequestError::ReadOnly)))
        };
        refused(reader.delete::<Raw>(&chassis()).await.map(drop));
        refused(reader.create::<u8, u8>(&chassis(), &1).await.map(drop));
        refused(
            reader
                .update::<u8, u8>(&chassis(), None, &1)
                .await
                .map(drop),
        );
        refused(
            reader
                .get::<Raw>(&ODataId::from("/redfish/v1/AccountService".to_owned()))
                .await
                .map(drop),
        );
        let error = reader
            .get::<Raw>(&ODataId::from("/redfish/v1/Chassis/None".to_owned()))
            .await
            .unwrap_err();
        assert!(matches!(
            error.error_class(),
            nv_redfish_core::BmcErrorClass::HttpResponse { status: 404 }
        ));
        reader.0.log_out().await;
    });
    assert!(
        bmc.scene()
            .seen
            .iter()
            .all(|seen| seen.method == "GET" || seen.path.contains("Sessions"))
    );
    assert_eq!(bmc.scene().sessions.len(), 0);
}
