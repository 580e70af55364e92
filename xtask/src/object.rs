//! The BPF object after linking: what must be in it, what must not, and what nobody needs.
//!
//! The verifier would find a panic path too, but late and without its name ("last insn is not an exit or jmp").

use anyhow::{Context, Result, bail};
use object::build::elf::{Builder, SectionData};
use object::elf::{FileHeader64, SHF_EXECINSTR, SHT_STRTAB};
use object::endian::Endianness;
use object::read::elf::{ElfFile, FileHeader};
use object::{Object, ObjectSection, ObjectSymbol, SectionFlags};
use std::collections::BTreeMap;

type Elf<'a> = ElfFile<'a, FileHeader64<Endianness>>;

/// Bytes of a BPF instruction.
const INSTRUCTION: u64 = 8;

/// What an object holds.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Contents {
    /// A program's name, its kind ("xdp", "classifier") and its instructions.
    pub programs: BTreeMap<String, (String, u64)>,
    /// The names of its maps.
    pub maps: Vec<String>,
}

/// Reads the object and holds it against what the sources declare.
pub fn check(bytes: &[u8], declared_maps: &[String]) -> Result<Contents> {
    let elf = Elf::parse(bytes).context("the linker left no readable ELF object")?;
    no_panic(&elf)?;
    let contents = contents(&elf);
    for kind in ["xdp", "classifier"] {
        if !contents.programs.values().any(|(found, _)| found == kind) {
            bail!(
                "the object has no {kind} program; it has {:?}",
                contents.programs
            );
        }
    }
    let missing: Vec<_> = declared_maps
        .iter()
        .filter(|name| !contents.maps.contains(name))
        .collect();
    if !missing.is_empty() {
        bail!(
            "maps that are declared but not in the object: {missing:?}; it has {:?}",
            contents.maps
        );
    }
    Ok(contents)
}

fn no_panic(elf: &Elf) -> Result<()> {
    let names = elf
        .symbols()
        .filter_map(|symbol| symbol.name().ok().map(str::to_owned));
    // The handler itself is `rust_begin_unwind` and goes too when nothing can reach it.
    let panics: Vec<String> = names.filter(|name| name.contains("panic")).collect();
    if !panics.is_empty() {
        bail!(
            "a program can panic, which no verifier accepts: {}. A division, an index or an unwrap whose proof the \
             compiler does not see; use checked arithmetic, masks or `get`",
            panics.join(", ")
        );
    }
    Ok(())
}

fn contents(elf: &Elf) -> Contents {
    let mut contents = Contents {
        programs: BTreeMap::new(),
        maps: Vec::new(),
    };
    for symbol in elf.symbols() {
        let section = symbol
            .section_index()
            .and_then(|index| elf.section_by_index(index).ok());
        let (Some(section), Ok(name)) = (section, symbol.name()) else {
            continue;
        };
        let section_name = section.name().unwrap_or_default();
        let kind = section_name.split(['/', '.']).next().unwrap_or_default();
        if matches!(section_name, ".maps" | "maps") && !name.is_empty() {
            contents.maps.push(name.to_owned());
        } else if is_code(&section) && !kind.is_empty() && symbol.is_global() {
            contents.programs.insert(
                name.to_owned(),
                (kind.to_owned(), symbol.size() / INSTRUCTION),
            );
        }
    }
    contents.maps.sort();
    contents
}

fn is_code<'a>(section: &impl ObjectSection<'a>) -> bool {
    matches!(section.flags(), SectionFlags::Elf { sh_flags } if sh_flags & u64::from(SHF_EXECINSTR) != 0)
}

/// The object without DWARF. BTF, which the loader needs, stays.
pub fn strip(bytes: &[u8]) -> Result<Vec<u8>> {
    FileHeader64::<Endianness>::parse(bytes).context("not an ELF object")?;
    let mut builder = Builder::read(bytes).context("cannot take the object apart")?;
    for section in &mut builder.sections {
        let name = section.name.to_string();
        section.delete = name.starts_with(".debug_") || name.starts_with(".rel.debug_");
    }
    builder.delete_orphans();
    // LLVM keeps section names and symbol names in one table, the builder wants two.
    let names = builder.sections.add();
    names.name = ".shstrtab".into();
    names.sh_type = SHT_STRTAB;
    names.data = SectionData::SectionString;
    builder.delete_unused_versions();
    let mut stripped = Vec::new();
    builder
        .write(&mut stripped)
        .context("cannot put the object together again")?;
    Ok(stripped)
}
