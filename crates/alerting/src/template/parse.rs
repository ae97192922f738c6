//! Builds the tree of a template. Names of functions and variables are checked here, so that what cannot run is refused
//! when the file is read.

use std::{collections::BTreeMap, sync::Arc};

use super::{
    TemplateError,
    functions::Dialect,
    lexer::{Piece, Token, Word, pieces},
};

/// How deep actions and brackets may nest.
const DEPTH_MAX: usize = 50;

#[derive(Debug)]
pub enum Node {
    Text(String),
    Output(Pipe),
    If { condition: Pipe, then: Vec<Node>, otherwise: Vec<Node> },
    With { condition: Pipe, then: Vec<Node>, otherwise: Vec<Node> },
    Range { over: Pipe, body: Vec<Node>, otherwise: Vec<Node> },
    Call { name: String, with: Option<Pipe> },
    Break,
    Continue,
}

/// Commands; the value of each is the last argument of the next. Variables take the value of the last.
#[derive(Debug)]
pub struct Pipe {
    pub variables: Vec<String>,
    /// `=`, not `:=`.
    pub assigns: bool,
    pub commands: Vec<Vec<Arg>>,
}

#[derive(Debug)]
pub enum Arg {
    Dot,
    Nil,
    Bool(bool),
    Int(i64),
    Float(f64),
    Text(String),
    Fields(Vec<String>),
    Variable(String, Vec<String>),
    Function(String),
    Group(Box<Pipe>, Vec<String>),
}

/// Templates by name.
pub type Definitions = BTreeMap<String, Arc<Vec<Node>>>;

/// The tree of a text; what it defines goes to `definitions`.
pub fn parse(source: &str, dialect: Dialect, definitions: &mut Definitions) -> Result<Vec<Node>, TemplateError> {
    let pieces = pieces(source)?;
    let mut parser = Parser { pieces: &pieces, at: 0, dialect, definitions, variables: Vec::new(), loops: 0, depth: 0 };
    parser.variables = dialect.variables();
    let (nodes, end) = parser.block(false)?;
    match end {
        None => Ok(nodes),
        Some(end) => Err(TemplateError(format!("`{{{{ {} }}}}` without its `if`, `range` or `with`", end.word()))),
    }
}

enum End {
    End,
    Else(Vec<Token>),
}

impl End {
    fn word(&self) -> &'static str {
        match self {
            Self::End => "end",
            Self::Else(_) => "else",
        }
    }
}

struct Parser<'p> {
    pieces: &'p [Piece],
    at: usize,
    dialect: Dialect,
    definitions: &'p mut Definitions,
    variables: Vec<String>,
    loops: usize,
    depth: usize,
}

fn error<T>(message: impl Into<String>) -> Result<T, TemplateError> {
    Err(TemplateError(message.into()))
}

impl Parser<'_> {
    /// Nodes up to `end` or `else`, or the end of the text.
    fn block(&mut self, inside: bool) -> Result<(Vec<Node>, Option<End>), TemplateError> {
        self.depth += 1;
        if self.depth > DEPTH_MAX {
            return error(format!("actions nest at most {DEPTH_MAX} deep"));
        }
        let known = self.variables.len();
        let mut nodes = Vec::new();
        let mut end = None;
        while let Some(piece) = self.pieces.get(self.at) {
            self.at += 1;
            match piece {
                Piece::Text(text) => nodes.push(Node::Text(text.clone())),
                Piece::Action(tokens) => match self.action(tokens)? {
                    Ok(Some(node)) => nodes.push(node),
                    Ok(None) => {}
                    Err(ended) => {
                        end = Some(ended);
                        break;
                    }
                },
            }
        }
        if inside && end.is_none() {
            return error("an action without its `end`");
        }
        self.variables.truncate(known);
        self.depth -= 1;
        Ok((nodes, end))
    }

    fn action(&mut self, tokens: &[Token]) -> Result<Result<Option<Node>, End>, TemplateError> {
        let rest = tokens.get(1..).unwrap_or_default();
        let keyword = match tokens.first() {
            Some(Token { word: Word::Name(name), .. }) => name.as_str(),
            _ => "",
        };
        Ok(Ok(Some(match keyword {
            "end" if rest.is_empty() => return Ok(Err(End::End)),
            "else" => return Ok(Err(End::Else(rest.to_vec()))),
            "if" | "with" | "range" => self.control(keyword, rest)?,
            "template" => {
                let (name, argument) = self.named(keyword, rest)?;
                Node::Call { name, with: argument }
            }
            "block" => {
                let (name, argument) = self.named(keyword, rest)?;
                self.define(&name)?;
                Node::Call { name, with: argument }
            }
            "define" => {
                let (name, argument) = self.named(keyword, rest)?;
                if argument.is_some() {
                    return error("`define` takes a name and nothing else");
                }
                self.define(&name)?;
                return Ok(Ok(None));
            }
            "break" | "continue" if rest.is_empty() => match (self.loops, keyword) {
                (0, _) => return error(format!("`{keyword}` outside of `range`")),
                (_, "break") => Node::Break,
                _ => Node::Continue,
            },
            _ => Node::Output(self.pipe(tokens, 0)?),
        })))
    }

    fn define(&mut self, name: &str) -> Result<(), TemplateError> {
        let outer = std::mem::replace(&mut self.variables, self.dialect.variables());
        let loops = std::mem::take(&mut self.loops);
        let (nodes, end) = self.block(true)?;
        if !matches!(end, Some(End::End)) {
            return error(format!("the definition of `{name}` has an `else`"));
        }
        self.variables = outer;
        self.loops = loops;
        self.definitions.insert(name.to_owned(), Arc::new(nodes));
        Ok(())
    }

    fn named(&mut self, keyword: &str, tokens: &[Token]) -> Result<(String, Option<Pipe>), TemplateError> {
        let Some(Token { word: Word::Quoted(name), .. }) = tokens.first() else {
            return error(format!("`{keyword}` takes the name of a template in quotes"));
        };
        let argument = if tokens.len() > 1 { Some(self.pipe(&tokens[1..], 0)?) } else { None };
        Ok((name.clone(), argument))
    }

    fn control(&mut self, keyword: &str, tokens: &[Token]) -> Result<Node, TemplateError> {
        let known = self.variables.len();
        let condition = if keyword == "range" { self.range(tokens)? } else { self.pipe(tokens, 0)? };
        self.loops += usize::from(keyword == "range");
        let (then, end) = self.block(true)?;
        self.loops -= usize::from(keyword == "range");
        let otherwise = match end {
            Some(End::Else(more)) => self.otherwise(keyword, &more)?,
            _ => Vec::new(),
        };
        self.variables.truncate(known);
        Ok(match keyword {
            "if" => Node::If { condition, then, otherwise },
            "with" => Node::With { condition, then, otherwise },
            _ => Node::Range { over: condition, body: then, otherwise },
        })
    }

    /// What stands after `else`: a block, or `if` and `with` once more, which share the `end`.
    fn otherwise(&mut self, keyword: &str, more: &[Token]) -> Result<Vec<Node>, TemplateError> {
        match more.first() {
            None => {
                let (nodes, end) = self.block(true)?;
                if matches!(end, Some(End::Else(_))) { error("`else` twice") } else { Ok(nodes) }
            }
            Some(Token { word: Word::Name(again), .. }) if again == keyword && again != "range" => {
                self.depth += 1;
                if self.depth > DEPTH_MAX {
                    return error(format!("actions nest at most {DEPTH_MAX} deep"));
                }
                let node = self.control(keyword, &more[1..])?;
                self.depth -= 1;
                Ok(vec![node])
            }
            Some(_) => error("after `else` only `if` may follow, or `with` after `with`"),
        }
    }

    /// `$i, $x := pipeline`, `$x := pipeline` or a pipeline.
    fn range(&mut self, tokens: &[Token]) -> Result<Pipe, TemplateError> {
        if let [
            Token { word: Word::Variable(a), .. },
            Token { word: Word::Comma, .. },
            Token { word: Word::Variable(b), .. },
            Token { word: sign @ (Word::Declare | Word::Assign), .. },
            rest @ ..,
        ] = tokens
        {
            let mut pipe = self.pipe(rest, 0)?;
            pipe.variables = vec![a.clone(), b.clone()];
            pipe.assigns = *sign == Word::Assign;
            self.declare(&pipe)?;
            return Ok(pipe);
        }
        self.pipe(tokens, 0)
    }

    fn declare(&mut self, pipe: &Pipe) -> Result<(), TemplateError> {
        if pipe.assigns {
            return pipe.variables.iter().try_for_each(|v| self.check_variable(v));
        }
        self.variables.extend(pipe.variables.iter().cloned());
        Ok(())
    }

    fn check_variable(&self, name: &str) -> Result<(), TemplateError> {
        if name == "$" || self.variables.iter().any(|v| v == name) {
            return Ok(());
        }
        error(format!("`{name}` is not known; there are {}", self.dialect.variables().join(", ")))
    }

    fn pipe(&mut self, tokens: &[Token], depth: usize) -> Result<Pipe, TemplateError> {
        if depth > DEPTH_MAX {
            return error(format!("brackets nest at most {DEPTH_MAX} deep"));
        }
        let mut pipe = Pipe { variables: Vec::new(), assigns: false, commands: Vec::new() };
        let mut tokens = tokens;
        if let [
            Token { word: Word::Variable(name), .. },
            Token { word: sign @ (Word::Declare | Word::Assign), .. },
            rest @ ..,
        ] = tokens
        {
            pipe.variables.push(name.clone());
            pipe.assigns = *sign == Word::Assign;
            tokens = rest;
        }
        let mut open = 0_i32;
        let mut start = 0;
        for (i, token) in tokens.iter().enumerate() {
            match token.word {
                Word::Open => open += 1,
                Word::Close => open -= 1,
                Word::Pipe if open == 0 => {
                    pipe.commands.push(self.command(&tokens[start..i], pipe.commands.is_empty(), depth)?);
                    start = i + 1;
                }
                _ => {}
            }
        }
        pipe.commands.push(self.command(&tokens[start..], pipe.commands.is_empty(), depth)?);
        self.declare(&pipe)?;
        Ok(pipe)
    }

    fn command(&mut self, tokens: &[Token], first: bool, depth: usize) -> Result<Vec<Arg>, TemplateError> {
        let mut args = Vec::new();
        let mut at = 0;
        while at < tokens.len() {
            let arg = self.arg(tokens, &mut at, depth)?;
            args.push(arg);
        }
        match args.first() {
            None => error("an action is empty"),
            Some(Arg::Function(name)) => {
                self.dialect.check(name, args.len() - 1 + usize::from(!first))?;
                Ok(args)
            }
            // Instants have methods everywhere.
            Some(Arg::Variable(_, fields) | Arg::Group(_, fields)) if !fields.is_empty() => Ok(args),
            // The data of notifications has methods, that of rules has none.
            Some(Arg::Fields(_) | Arg::Variable(..) | Arg::Group(..)) if self.dialect == Dialect::Notification => {
                Ok(args)
            }
            Some(_) if first && args.len() == 1 => Ok(args),
            Some(_) => error("a value is not a function and takes no arguments"),
        }
    }

    fn arg(&mut self, tokens: &[Token], at: &mut usize, depth: usize) -> Result<Arg, TemplateError> {
        let token = &tokens[*at];
        *at += 1;
        Ok(match &token.word {
            Word::Dot => Arg::Dot,
            Word::Field(name) => {
                let mut fields = vec![name.clone()];
                fields.extend(chain(tokens, at));
                Arg::Fields(fields)
            }
            Word::Variable(name) => {
                self.check_variable(name)?;
                Arg::Variable(name.clone(), chain(tokens, at))
            }
            Word::Quoted(text) => Arg::Text(text.clone()),
            Word::Char(c) => Arg::Int(i64::from(u32::from(*c))),
            Word::Number(text) => number(text)?,
            Word::Name(name) => match name.as_str() {
                "true" => Arg::Bool(true),
                "false" => Arg::Bool(false),
                "nil" => Arg::Nil,
                name if self.dialect.has(name) => Arg::Function(name.to_owned()),
                name => return error(format!("the function `{name}` is not known here")),
            },
            Word::Open => {
                let start = *at;
                let mut open = 1;
                while open > 0 {
                    match tokens.get(*at).map(|t| &t.word) {
                        None => return error("brackets do not match"),
                        Some(Word::Open) => open += 1,
                        Some(Word::Close) => open -= 1,
                        Some(_) => {}
                    }
                    *at += 1;
                }
                let inner = self.pipe(&tokens[start..*at - 1], depth + 1)?;
                Arg::Group(Box::new(inner), chain(tokens, at))
            }
            Word::Close => return error("brackets do not match"),
            Word::Pipe | Word::Comma | Word::Assign | Word::Declare => {
                return error("`,`, `=` and `:=` stand after a variable at the start of an action");
            }
        })
    }
}

/// The fields that follow without white space.
fn chain(tokens: &[Token], at: &mut usize) -> Vec<String> {
    let mut fields = Vec::new();
    while let Some(Token { word: Word::Field(name), spaced: false }) = tokens.get(*at) {
        fields.push(name.clone());
        *at += 1;
    }
    fields
}

fn number(text: &str) -> Result<Arg, TemplateError> {
    let plain = text.replace('_', "");
    let (sign, digits) = match plain.strip_prefix('-') {
        Some(rest) => (-1, rest),
        None => (1, plain.strip_prefix('+').unwrap_or(&plain)),
    };
    let lower = digits.to_ascii_lowercase();
    let based = [("0x", 16), ("0o", 8), ("0b", 2)].iter().find_map(|(p, base)| Some((lower.strip_prefix(p)?, *base)));
    let whole = match based {
        Some((digits, base)) => i64::from_str_radix(digits, base).ok(),
        None if digits.len() > 1 && digits.starts_with('0') && digits.bytes().all(|b| b.is_ascii_digit()) => {
            i64::from_str_radix(digits, 8).ok()
        }
        None => digits.parse().ok(),
    };
    if let Some(whole) = whole {
        return Ok(Arg::Int(sign * whole));
    }
    let float = digits.starts_with(|c: char| c.is_ascii_digit() || c == '.').then(|| digits.parse::<f64>().ok());
    match float.flatten() {
        Some(value) => Ok(Arg::Float(sign as f64 * value)),
        None => error(format!("`{text}` is not a number")),
    }
}
