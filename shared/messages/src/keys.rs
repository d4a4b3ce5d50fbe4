//! The keys that a table of the configuration can have.

use serde::de::value::Error as Stopped;
use serde::de::{DeserializeOwned, Deserializer, Error, Visitor};

/// The keys of a table that is read as a `T`.
pub fn keys<T: DeserializeOwned>() -> &'static [&'static str] {
    let mut keys: &'static [&'static str] = &[];
    // The deserialiser stops as soon as it knows the keys.
    T::deserialize(AsksForKeys(&mut keys)).ok();
    keys
}

struct AsksForKeys<'a>(&'a mut &'static [&'static str]);

impl<'de> Deserializer<'de> for AsksForKeys<'_> {
    type Error = Stopped;

    fn deserialize_struct<V: Visitor<'de>>(
        self,
        _: &'static str,
        fields: &'static [&'static str],
        _: V,
    ) -> Result<V::Value, Stopped> {
        *self.0 = fields;
        Err(Stopped::custom("the keys are known"))
    }

    fn deserialize_any<V: Visitor<'de>>(self, _: V) -> Result<V::Value, Stopped> {
        Err(Stopped::custom("it is no table with known keys"))
    }

    serde::forward_to_deserialize_any! {
        bool i8 i16 i32 i64 u8 u16 u32 u64 f32 f64 char str string bytes byte_buf option unit unit_struct
        newtype_struct seq tuple tuple_struct map enum identifier ignored_any
    }
}
