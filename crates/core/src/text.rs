//! What all types have in common that are text outside and checked inside.

#[doc(hidden)]
pub use serde;

/// Gives types that have `Display` and `FromStr` the rest of what such a text needs: `Debug` that prints it as it is, and serde's two
/// traits. What is read is parsed, so no unchecked text gets in, and the parser's own error is what the reader sees.
///
/// ```
/// #[derive(PartialEq)]
/// struct Even(u32);
/// impl std::str::FromStr for Even {
///     type Err = String;
///     fn from_str(text: &str) -> Result<Self, String> {
///         let number = text.parse().map_err(|_| format!("{text:?} is no number"))?;
///         if number % 2 == 0 { Ok(Self(number)) } else { Err(format!("{number} is odd")) }
///     }
/// }
/// impl std::fmt::Display for Even {
///     fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
///         write!(f, "{}", self.0)
///     }
/// }
/// skybru_core::text_type!(Even);
///
/// assert_eq!(serde_json::to_string(&Even(2)).unwrap(), "\"2\"");
/// assert_eq!(serde_json::from_str::<Even>("\"4\"").unwrap(), Even(4));
/// assert_eq!(serde_json::from_str::<Even>("\"5\"").unwrap_err().to_string(), "5 is odd");
/// ```
#[macro_export]
macro_rules! text_type {
    ($($name:ty),+ $(,)?) => {$(
        impl ::std::fmt::Debug for $name {
            fn fmt(&self, f: &mut ::std::fmt::Formatter<'_>) -> ::std::fmt::Result {
                ::std::fmt::Display::fmt(self, f)
            }
        }
        impl $crate::text::serde::Serialize for $name {
            fn serialize<S: $crate::text::serde::Serializer>(&self, serializer: S) -> ::std::result::Result<S::Ok, S::Error> {
                serializer.collect_str(self)
            }
        }
        impl<'de> $crate::text::serde::Deserialize<'de> for $name {
            fn deserialize<D: $crate::text::serde::Deserializer<'de>>(
                deserializer: D,
            ) -> ::std::result::Result<Self, D::Error> {
                let text = <::std::borrow::Cow<'de, str> as $crate::text::serde::Deserialize>::deserialize(deserializer)?;
                text.parse().map_err($crate::text::serde::de::Error::custom)
            }
        }
    )+};
}
