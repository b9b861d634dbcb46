//! Attributes of a node, looked up by name and type; what an operator does not
//! name is refused by name (PRG-13).

use crate::{
    constant::Constant,
    error::{OnnxError, Place},
    proto::AttributeProto,
};
use std::{cell::RefCell, collections::HashSet};

/// The attributes of one node.
pub struct Attributes<'a> {
    place: &'a Place,
    all: &'a [AttributeProto],
    asked: RefCell<HashSet<&'a str>>,
}

impl<'a> Attributes<'a> {
    /// Attributes, each named once.
    pub fn new(place: &'a Place, all: &'a [AttributeProto]) -> Result<Self, OnnxError> {
        let mut seen = HashSet::new();
        for a in all {
            if !seen.insert(a.name.as_str()) {
                return Err(refused(place, &a.name, "is there twice"));
            }
        }
        Ok(Self {
            place,
            all,
            asked: RefCell::default(),
        })
    }

    fn get(&self, name: &str, kind: i32) -> Result<Option<&'a AttributeProto>, OnnxError> {
        let Some(a) = self.all.iter().find(|a| a.name == name) else {
            return Ok(None);
        };
        // Type 0: files from before types were written.
        if a.r#type != kind && a.r#type != 0 {
            return Err(refused(
                self.place,
                name,
                &format!("has type {}, expected {kind}", a.r#type),
            ));
        }
        self.asked.borrow_mut().insert(a.name.as_str());
        Ok(Some(a))
    }

    /// A float.
    pub fn float(&self, name: &str, default: f32) -> Result<f64, OnnxError> {
        let v = self.get(name, 1)?.map_or(default, |a| a.f);
        self.finite(name, &[v])?;
        Ok(f64::from(v))
    }
    /// An integer.
    pub fn int(&self, name: &str, default: i64) -> Result<i64, OnnxError> {
        Ok(self.get(name, 2)?.map_or(default, |a| a.i))
    }
    /// A text.
    pub fn text(&self, name: &str, default: &str) -> Result<String, OnnxError> {
        Ok(self.get(name, 3)?.map_or_else(
            || default.to_owned(),
            |a| String::from_utf8_lossy(&a.s).into_owned(),
        ))
    }
    /// A constant.
    pub fn tensor(&self, name: &str) -> Result<Option<Constant>, OnnxError> {
        match self.get(name, 4)?.and_then(|a| a.t.as_ref()) {
            Some(t) => Constant::read(t).map(Some),
            None => Ok(None),
        }
    }
    /// Floats; empty if absent.
    pub fn floats(&self, name: &str) -> Result<&'a [f32], OnnxError> {
        let v = self.get(name, 6)?.map_or(&[][..], |a| a.floats.as_slice());
        self.finite(name, v)?;
        Ok(v)
    }
    /// Integers; empty if absent.
    pub fn ints(&self, name: &str) -> Result<&'a [i64], OnnxError> {
        Ok(self.get(name, 7)?.map_or(&[][..], |a| a.ints.as_slice()))
    }
    /// Texts; empty if absent.
    pub fn texts(&self, name: &str) -> Result<Vec<String>, OnnxError> {
        Ok(self.get(name, 8)?.map_or_else(Vec::new, |a| {
            a.strings
                .iter()
                .map(|s| String::from_utf8_lossy(s).into_owned())
                .collect()
        }))
    }
    /// An attribute that changes nothing here.
    pub fn ignore(&self, name: &str) {
        if let Some(a) = self.all.iter().find(|a| a.name == name) {
            self.asked.borrow_mut().insert(a.name.as_str());
        }
    }
    /// A refusal of an attribute.
    pub fn refuse(&self, name: &str, reason: &str) -> OnnxError {
        refused(self.place, name, reason)
    }
    /// Refuses attributes that nobody asked for.
    pub fn finish(&self) -> Result<(), OnnxError> {
        let asked = self.asked.borrow();
        match self.all.iter().find(|a| !asked.contains(a.name.as_str())) {
            Some(a) => Err(refused(self.place, &a.name, "is not supported")),
            None => Ok(()),
        }
    }

    fn finite(&self, name: &str, values: &[f32]) -> Result<(), OnnxError> {
        if values.iter().any(|v| !v.is_finite()) {
            return Err(OnnxError::NotFinite {
                place: format!("{}, attribute {name:?}", self.place),
            });
        }
        Ok(())
    }
}

fn refused(place: &Place, attribute: &str, reason: &str) -> OnnxError {
    OnnxError::Attribute {
        place: place.clone(),
        attribute: attribute.to_owned(),
        reason: reason.to_owned(),
    }
}
