//! Replies in an OpenAPI document.
//!
//! serde reads a reply as a section with optional fields, so that it can name the place of a mistake. A derived schema
//! would say no more than that. Here the same section becomes one schema for each kind of reply.

use utoipa::openapi::schema::{AdditionalProperties, Schema};
use utoipa::openapi::{OneOfBuilder, Ref, RefOr};
use utoipa::{PartialSchema, ToSchema};

use super::{Reply, ReplySection};

/// The kinds of replies: the field with the content, and the name of the schema.
const KINDS: [(&str, &str); 4] =
    [("text", "TextReply"), ("image", "ImageReply"), ("link", "LinkReply"), ("miniprogrampage", "CardReply")];

impl PartialSchema for Reply {
    fn schema() -> RefOr<Schema> {
        let about = "Exactly one of `text`, `image`, `link` and `miniprogrampage`, and the sender.";
        let kinds = KINDS.iter().map(|(_, name)| Ref::from_schema_name(*name));
        kinds.fold(OneOfBuilder::new().description(Some(about)), OneOfBuilder::item).into()
    }
}

impl ToSchema for Reply {
    fn schemas(schemas: &mut Vec<(String, RefOr<Schema>)>) {
        ReplySection::schemas(schemas);
        schemas.extend(KINDS.map(|(field, name)| (name.to_owned(), reply_with(field))));
    }
}

/// A reply with its content in `field`. The reply has no content beside that, and no unknown field.
fn reply_with(field: &str) -> RefOr<Schema> {
    let mut schema = ReplySection::schema();
    if let RefOr::T(Schema::Object(reply)) = &mut schema {
        reply.description = None;
        reply.properties.retain(|name, _| name == field || KINDS.iter().all(|(content, _)| name != content));
        reply.required = vec![field.to_owned()];
        reply.additional_properties = Some(Box::new(AdditionalProperties::FreeForm(false)));
    }
    schema
}
