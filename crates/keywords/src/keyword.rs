//! What a keyword is.

/// Type of an integer in the INF file. Its number is the `DisplayParameterType` that
/// `Get-NetAdapterAdvancedProperty` shows and the certification test compares.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum IntegerType {
    /// `int`, 1.
    Int,
    /// `long`, 2.
    Long,
    /// `word`, 3.
    Word,
    /// `dword`, 4.
    Dword,
}

/// A number.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Integer {
    /// Type in the INF file.
    pub integer_type: IntegerType,
    /// Value if there is none in the registry.
    pub default: u32,
    /// Smallest value.
    pub min: u32,
    /// Largest value.
    pub max: u32,
    /// Distance of the values that Device Manager offers, counted from `min`. Not 0.
    pub step: u32,
}

/// One value of an enumeration.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Choice {
    /// Value in the registry.
    pub value: u32,
    /// What Device Manager shows.
    pub label: &'static str,
}

/// One of several values.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Enumeration {
    /// Value if there is none in the registry.
    pub default: u32,
    /// The values.
    pub choices: &'static [Choice],
}

/// Free text.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Edit {
    /// Most characters.
    pub limit: u32,
    /// Whether Device Manager turns it into upper case.
    pub upper_case: bool,
}

/// Kind of a keyword, with range and default.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// A number.
    Integer(Integer),
    /// One of several values.
    Enumeration(Enumeration),
    /// Free text.
    Edit(Edit),
}

/// A setting of an adapter.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Keyword {
    /// Name in the registry. Those that Windows defines start with `*`, but for a few old ones.
    pub name: &'static str,
    /// What Device Manager calls it (`ParamDesc`).
    pub text: &'static str,
    /// Whether it may be absent ("Not Present" in Device Manager) and has no default.
    pub optional: bool,
    /// Kind, range and default.
    pub kind: Kind,
}

impl Keyword {
    /// A number of type `int` with step 1.
    pub(crate) const fn int(
        name: &'static str,
        text: &'static str,
        default: u32,
        (min, max): (u32, u32),
    ) -> Self {
        Self::integer(name, text, IntegerType::Int, default, (min, max))
    }

    /// A number of type `long` with step 1.
    pub(crate) const fn long(
        name: &'static str,
        text: &'static str,
        default: u32,
        (min, max): (u32, u32),
    ) -> Self {
        Self::integer(name, text, IntegerType::Long, default, (min, max))
    }

    const fn integer(
        name: &'static str,
        text: &'static str,
        integer_type: IntegerType,
        default: u32,
        (min, max): (u32, u32),
    ) -> Self {
        Self {
            name,
            text,
            optional: false,
            kind: Kind::Integer(Integer {
                integer_type,
                default,
                min,
                max,
                step: 1,
            }),
        }
    }

    /// One of several values.
    pub(crate) const fn enumeration(
        name: &'static str,
        text: &'static str,
        default: u32,
        choices: &'static [Choice],
    ) -> Self {
        Self {
            name,
            text,
            optional: false,
            kind: Kind::Enumeration(Enumeration { default, choices }),
        }
    }

    /// Text that may be absent.
    pub(crate) const fn optional_text(name: &'static str, text: &'static str, limit: u32) -> Self {
        Self {
            name,
            text,
            optional: true,
            kind: Kind::Edit(Edit {
                limit,
                upper_case: true,
            }),
        }
    }

    /// Value if there is none in the registry; `None` for text.
    pub const fn default(&self) -> Option<u32> {
        match self.kind {
            Kind::Integer(integer) => Some(integer.default),
            Kind::Enumeration(enumeration) => Some(enumeration.default),
            Kind::Edit(_) => None,
        }
    }

    /// `Type` in the INF file.
    pub const fn inf_type(&self) -> &'static str {
        match self.kind {
            Kind::Integer(integer) => match integer.integer_type {
                IntegerType::Int => "int",
                IntegerType::Long => "long",
                IntegerType::Word => "word",
                IntegerType::Dword => "dword",
            },
            Kind::Enumeration(_) => "enum",
            Kind::Edit(_) => "edit",
        }
    }

    /// `DisplayParameterType` of `Get-NetAdapterAdvancedProperty`, which the certification test
    /// compares; `None` for text, which it does not look at.
    pub const fn display_parameter_type(&self) -> Option<u8> {
        match self.kind {
            Kind::Integer(integer) => Some(match integer.integer_type {
                IntegerType::Int => 1,
                IntegerType::Long => 2,
                IntegerType::Word => 3,
                IntegerType::Dword => 4,
            }),
            Kind::Enumeration(_) => Some(5),
            Kind::Edit(_) => None,
        }
    }
}
