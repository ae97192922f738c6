//! Builds the tree of a template; refuses what this subset does not have.

use super::{
    Command, Node, Operand, Pipeline, TemplateError, functions,
    lexer::{Piece, Word, pieces},
};

/// How deep `if` may nest.
const DEPTH_MAX: usize = 20;

pub fn parse(source: &str) -> Result<Vec<Node>, TemplateError> {
    let pieces = pieces(source)?;
    let mut at = 0;
    let (nodes, end) = block(&pieces, &mut at, 0)?;
    match end {
        None => Ok(nodes),
        Some(word) => Err(TemplateError(format!("`{{{{ {word} }}}}` without its `if`"))),
    }
}

/// Nodes up to `end`/`else` (returned, with what follows `else`) or the end of the text.
fn block(pieces: &[Piece], at: &mut usize, depth: usize) -> Result<(Vec<Node>, Option<String>), TemplateError> {
    if depth > DEPTH_MAX {
        return Err(TemplateError(format!("`if` nests at most {DEPTH_MAX} deep")));
    }
    let mut nodes = Vec::new();
    while let Some(piece) = pieces.get(*at) {
        match piece {
            Piece::Text(text) => nodes.push(Node::Text(text.clone())),
            Piece::Action(words) => match words.first() {
                Some(Word::Name(name)) if name == "end" || name == "else" => return Ok((nodes, Some(name.clone()))),
                Some(Word::Name(name)) if name == "if" => nodes.push(branches(pieces, at, depth)?),
                Some(Word::Name(name))
                    if matches!(
                        name.as_str(),
                        "range" | "with" | "define" | "template" | "block" | "break" | "continue"
                    ) =>
                {
                    return Err(TemplateError(format!("`{name}` is not supported in rule templates")));
                }
                _ => nodes.push(Node::Output(pipeline(words)?)),
            },
        }
        *at += 1;
    }
    Ok((nodes, None))
}

fn branches(pieces: &[Piece], at: &mut usize, depth: usize) -> Result<Node, TemplateError> {
    let mut branches = Vec::new();
    let Some(Piece::Action(words)) = pieces.get(*at) else {
        return Err(TemplateError("`if` has no condition".to_owned()));
    };
    let mut condition = Some(pipeline(&words[1..])?);
    loop {
        *at += 1;
        let (body, end) = block(pieces, at, depth + 1)?;
        let was_else = condition.is_none();
        branches.push((condition.take(), body));
        match (end.as_deref(), pieces.get(*at)) {
            (Some("end"), _) => return Ok(Node::If(branches)),
            (Some("else"), Some(Piece::Action(words))) if !was_else => match words.get(1) {
                None => {}
                Some(Word::Name(name)) if name == "if" => condition = Some(pipeline(&words[2..])?),
                Some(_) => return Err(TemplateError("after `else` only `if` may follow".to_owned())),
            },
            _ => return Err(TemplateError("`if` without `end`".to_owned())),
        }
    }
}

fn pipeline(words: &[Word]) -> Result<Pipeline, TemplateError> {
    let mut commands = Vec::new();
    let mut at = 0;
    loop {
        let start = at;
        let mut open = 0;
        while at < words.len() && (open > 0 || words[at] != Word::Pipe) {
            match words[at] {
                Word::Open => open += 1,
                Word::Close => open -= 1,
                _ => {}
            }
            at += 1;
        }
        commands.push(command(&words[start..at], commands.is_empty())?);
        if at >= words.len() {
            return Ok(commands);
        }
        at += 1;
    }
}

fn command(words: &[Word], first: bool) -> Result<Command, TemplateError> {
    match words.first() {
        None => Err(TemplateError("an action is empty".to_owned())),
        Some(Word::Name(name)) if functions::exists(name) => {
            let operands = operands(&words[1..])?;
            let given = operands.len() + usize::from(!first);
            functions::check(name, given)?;
            Ok(Command::Call(name.clone(), operands))
        }
        Some(Word::Name(name)) if !name.starts_with(['$', '.']) && name != "true" && name != "false" => {
            Err(TemplateError(format!("the function `{name}` is not supported in rule templates")))
        }
        Some(_) => {
            let mut operands = operands(words)?;
            match (operands.pop(), operands.is_empty(), first) {
                (Some(only), true, true) => Ok(Command::Value(only)),
                _ => Err(TemplateError("a value is not a function and takes no arguments".to_owned())),
            }
        }
    }
}

fn operands(words: &[Word]) -> Result<Vec<Operand>, TemplateError> {
    let mut out = Vec::new();
    let mut at = 0;
    while at < words.len() {
        match &words[at] {
            Word::Quoted(text) => out.push(Operand::Text(text.clone())),
            Word::Number(text) => out.push(Operand::Number(text.clone())),
            Word::Name(name) => out.push(variable(name)?),
            Word::Pipe | Word::Close => return Err(TemplateError("brackets do not match".to_owned())),
            Word::Open => {
                let start = at + 1;
                let mut open = 1;
                while open > 0 {
                    at += 1;
                    match words.get(at) {
                        None => return Err(TemplateError("brackets do not match".to_owned())),
                        Some(Word::Open) => open += 1,
                        Some(Word::Close) => open -= 1,
                        Some(_) => {}
                    }
                }
                out.push(Operand::Group(pipeline(&words[start..at])?));
            }
        }
        at += 1;
    }
    Ok(out)
}

fn variable(name: &str) -> Result<Operand, TemplateError> {
    for prefix in ["$labels.", ".Labels."] {
        if let Some(label) = name.strip_prefix(prefix)
            && !label.is_empty()
            && !label.contains('.')
        {
            return Ok(Operand::Label(label.to_owned()));
        }
    }
    match name {
        "$labels" | ".Labels" => Ok(Operand::Labels),
        "$value" | ".Value" => Ok(Operand::Value),
        "true" => Ok(Operand::Bool(true)),
        "false" => Ok(Operand::Bool(false)),
        name if ["$externalLabels", ".ExternalLabels", "$externalURL", ".ExternalURL"]
            .iter()
            .any(|p| name.starts_with(p)) =>
        {
            Ok(Operand::External)
        }
        name => Err(TemplateError(format!("`{name}` is not known; there are $labels.NAME and $value"))),
    }
}
