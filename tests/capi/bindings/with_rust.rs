//! libmemif, generation 4, from Rust: the interface written down as a binding generator would, without one.
use std::ffi::{c_char, c_int, c_long, c_void, CStr};
use std::{env, mem, ptr, time};

#[repr(C)]
struct SocketArgs {
    path: [c_char; 108],
    app_name: [c_char; 32],
    connection_request_timer: [c_long; 4],
    on_control_fd_update: *const c_void,
    alloc: *const c_void,
    realloc: *const c_void,
    free: *const c_void,
}

#[repr(C)]
struct ConnArgs {
    socket: *mut c_void,
    secret: [u8; 24],
    num_s2m_rings: u8,
    num_m2s_rings: u8,
    buffer_size: u16,
    log2_ring_size: u8,
    is_master: u8,
    interface_id: u32,
    interface_name: [u8; 32],
    mode: u8,
}

#[repr(C)]
struct Buffer {
    desc_index: u16,
    queue: *mut c_void,
    len: u32,
    flags: u8,
    data: *mut u8,
}

type Update = extern "C" fn(*mut c_void, *mut c_void) -> c_int;

#[link(name = "memif")]
extern "C" {
    fn memif_strerror(code: c_int) -> *const c_char;
    fn memif_create_socket(sock: *mut *mut c_void, args: *const SocketArgs, ctx: *mut c_void) -> c_int;
    fn memif_delete_socket(sock: *mut *mut c_void) -> c_int;
    fn memif_create(conn: *mut *mut c_void, args: *const ConnArgs, up: Update, down: Update,
                    interrupt: *const c_void, ctx: *mut c_void) -> c_int;
    fn memif_delete(conn: *mut *mut c_void) -> c_int;
    fn memif_poll_event(sock: *mut c_void, timeout: c_int) -> c_int;
    fn memif_refill_queue(conn: *mut c_void, qid: u16, count: u16, headroom: u16) -> c_int;
    fn memif_buffer_alloc(conn: *mut c_void, qid: u16, bufs: *mut Buffer, count: u16, out: *mut u16, size: u16) -> c_int;
    fn memif_tx_burst(conn: *mut c_void, qid: u16, bufs: *mut Buffer, count: u16, tx: *mut u16) -> c_int;
    fn memif_rx_burst(conn: *mut c_void, qid: u16, bufs: *mut Buffer, count: u16, rx: *mut u16) -> c_int;
}

fn check(code: c_int) {
    assert!(code == 0, "{}", unsafe { CStr::from_ptr(memif_strerror(code)) }.to_string_lossy());
}

extern "C" fn up(conn: *mut c_void, count: *mut c_void) -> c_int {
    unsafe {
        *(count as *mut u32) += 1;
        memif_refill_queue(conn, 0, u16::MAX, 0)
    }
}

extern "C" fn down(_: *mut c_void, _: *mut c_void) -> c_int {
    0
}

struct End {
    socket: *mut c_void,
    conn: *mut c_void,
}

fn open(master: bool, count: *mut u32) -> End {
    let mut end = End { socket: ptr::null_mut(), conn: ptr::null_mut() };
    unsafe {
        let mut socket: SocketArgs = mem::zeroed();
        for (to, from) in socket.path.iter_mut().zip(env::var("SOCKET").unwrap().bytes()) {
            *to = from as c_char;
        }
        check(memif_create_socket(&mut end.socket, &socket, ptr::null_mut()));
        let mut args: ConnArgs = mem::zeroed();
        args.socket = end.socket;
        args.is_master = master as u8;
        check(memif_create(&mut end.conn, &args, up, down, ptr::null(), count as *mut c_void));
    }
    end
}

fn pass(from: &End, to: &End, packet: &[u8]) {
    unsafe {
        let mut bufs: [Buffer; 4] = mem::zeroed();
        let mut n = 0;
        check(memif_buffer_alloc(from.conn, 0, bufs.as_mut_ptr(), 1, &mut n, packet.len() as u16));
        assert!(n == 1 && bufs[0].len as usize == packet.len());
        ptr::copy_nonoverlapping(packet.as_ptr(), bufs[0].data, packet.len());
        check(memif_tx_burst(from.conn, 0, bufs.as_mut_ptr(), n, &mut n));
        check(memif_rx_burst(to.conn, 0, bufs.as_mut_ptr(), 4, &mut n));
        assert!(n == 1 && std::slice::from_raw_parts(bufs[0].data, bufs[0].len as usize) == packet);
        check(memif_refill_queue(to.conn, 0, n, 0));
    }
}

fn main() {
    assert_eq!(mem::size_of::<SocketArgs>(), 208);
    assert_eq!(mem::size_of::<ConnArgs>(), 80);
    assert_eq!(mem::size_of::<Buffer>(), 32);
    let mut count = 0u32;
    let counter: *mut u32 = &mut count;
    let mut ends = [open(true, counter), open(false, counter)];
    let start = time::Instant::now();
    while unsafe { ptr::read_volatile(counter) } != 2 {
        assert!(start.elapsed() < time::Duration::from_secs(20));
        for end in &ends {
            check(unsafe { memif_poll_event(end.socket, 1) });
        }
    }
    for round in 0..100u8 {
        pass(&ends[0], &ends[1], &[round; 900]);
        pass(&ends[1], &ends[0], &[round; 64]);
    }
    for end in &mut ends {
        check(unsafe { memif_delete(&mut end.conn) });
        check(unsafe { memif_delete_socket(&mut end.socket) });
    }
    println!("packets both ways");
}
