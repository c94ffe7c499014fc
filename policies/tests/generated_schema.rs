//! The schema that is shipped is the one that the generator makes of the tools' manifest.

use cedar_policy_mcp_schema_generator::{SchemaGenerator, SchemaGeneratorConfig};
use mcp_tools_sdk::description::ServerDescription;

#[test]
fn the_schema_is_generated_from_the_manifest() {
    let folder = std::path::Path::new(env!("CARGO_MANIFEST_DIR"));
    let read = |name: &str| std::fs::read_to_string(folder.join(name)).unwrap();
    let manifest: serde_json::Value = serde_json::from_str(&read("manifest.json")).unwrap();
    let tools = ServerDescription::from_json_str(&manifest["tools"].to_string()).unwrap();
    let settings = SchemaGeneratorConfig::default().objects_as_records(true);
    let mut generator =
        SchemaGenerator::from_cedarschema_str_with_config(&read("stub.cedarschema"), settings)
            .unwrap();
    generator
        .add_actions_from_server_description(&tools)
        .unwrap();
    let generated = format!(
        "// Generated from stub.cedarschema and manifest.json: GLASSHOUSE_UPDATE=1 cargo test -p glasshouse-policies\n{}",
        generator.get_schema_as_str()
    );
    if std::env::var_os("GLASSHOUSE_UPDATE").is_some() {
        std::fs::write(folder.join("schema.cedarschema"), &generated).unwrap();
    }
    assert_eq!(
        read("schema.cedarschema"),
        generated,
        "run GLASSHOUSE_UPDATE=1 cargo test -p glasshouse-policies --test generated_schema"
    );
}
