//! A real nginx in a namespace, serving the known body as `/bytes/N`; ended on drop.

use super::LIMIT;
use super::namespace::Namespace;
use super::payload::Payload;
use super::run::gate;
use super::wait::wait_for;
use anyhow::{Context, Result};
use std::net::{Ipv4Addr, TcpStream};
use std::path::Path;
use std::process::{Child, Command, Stdio};

/// It runs.
pub struct Nginx(Child);

impl Nginx {
    /// Listens on all addresses of the host; its files are in `root`, which is made. Says it is the backend `nginx`.
    pub fn start(host: &Namespace, root: &Path, port: u16, bytes: u64) -> Result<Nginx> {
        std::fs::create_dir_all(root.join("bytes"))?;
        let body: Vec<u8> = Payload::new(bytes).flatten().collect();
        std::fs::write(root.join("bytes").join(bytes.to_string()), body)?;
        let site = format!(
            "access_log off; sendfile on; add_header x-backend nginx;
             server {{ listen {port}; root {}; }}",
            root.display()
        );
        Nginx::serve(host.command("nginx"), host, root, port, &site)
    }

    /// Started by this command, with one worker and these lines for HTTP; returns when it listens at `port`.
    pub fn serve(
        mut nginx: Command,
        host: &Namespace,
        root: &Path,
        port: u16,
        site: &str,
    ) -> Result<Nginx> {
        std::fs::create_dir_all(root)?;
        let at = root.display();
        let configuration = format!(
            "daemon off; master_process off; pid {at}/pid; error_log stderr; user root;
             events {{ }}
             http {{
                 client_body_temp_path {at}; proxy_temp_path {at}; fastcgi_temp_path {at};
                 uwsgi_temp_path {at}; scgi_temp_path {at};
                 {site}
             }}"
        );
        std::fs::write(root.join("nginx.conf"), configuration)?;
        nginx
            .arg("-e")
            .arg("stderr")
            .arg("-c")
            .arg(root.join("nginx.conf"))
            .stdin(Stdio::null());
        let gate = gate();
        let nginx = Nginx(
            nginx
                .spawn()
                .context("starting nginx (package nginx-light)")?,
        );
        drop(gate);
        wait_for("nginx to listen", LIMIT, || {
            Ok(host.enter(|| TcpStream::connect((Ipv4Addr::LOCALHOST, port)))??)
        })?;
        Ok(nginx)
    }
}

impl Drop for Nginx {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}
