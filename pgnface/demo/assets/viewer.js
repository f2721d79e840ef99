// Turns the head that the page carries: positions (mm), normals, colours and triangles in base64.
(function () {
  const canvas = document.getElementById("viewer");
  const gl = canvas.getContext("webgl2", { alpha: true, antialias: true });
  if (!gl) {
    canvas.replaceWith("This browser shows no WebGL; open the GLB file instead.");
    return;
  }
  const bytes = (text) => Uint8Array.from(atob(text), (c) => c.charCodeAt(0)).buffer;
  const head = JSON.parse(document.getElementById("head-data").textContent);
  const shader = (type, source) => {
    const s = gl.createShader(type);
    gl.shaderSource(s, source);
    gl.compileShader(s);
    return s;
  };
  const program = gl.createProgram();
  gl.attachShader(program, shader(gl.VERTEX_SHADER, `#version 300 es
    layout(location=0) in vec3 position; layout(location=1) in vec3 normal; layout(location=2) in vec3 color;
    uniform mat3 turn; uniform vec3 centre; uniform float size; out vec3 n; out vec3 c;
    void main() {
      vec3 p = turn * (position - centre) / size;
      n = turn * normal; c = color;
      gl_Position = vec4(p.xy * 1.75, -p.z * 0.5, 1.0 - p.z * 0.25);
    }`));
  gl.attachShader(program, shader(gl.FRAGMENT_SHADER, `#version 300 es
    precision highp float; in vec3 n; in vec3 c; uniform bool clay; out vec4 result;
    void main() {
      vec3 m = normalize(n); if (!gl_FrontFacing) m = -m;
      float key = max(dot(m, normalize(vec3(-0.5, 0.6, 0.8))), 0.0);
      float fill = max(dot(m, normalize(vec3(0.8, 0.1, 0.5))), 0.0);
      float rim = pow(1.0 - max(m.z, 0.0), 3.0);
      vec3 base = clay ? vec3(0.80, 0.76, 0.71) : c;
      float light = clay ? 0.28 + 0.62 * key + 0.22 * fill : 0.72 + 0.26 * key + 0.12 * fill;
      result = vec4(base * light + (clay ? 0.14 : 0.05) * rim, 1.0);
    }`));
  gl.linkProgram(program);
  gl.useProgram(program);
  const attribute = (index, data, type, normalised) => {
    gl.bindBuffer(gl.ARRAY_BUFFER, gl.createBuffer());
    gl.bufferData(gl.ARRAY_BUFFER, data, gl.STATIC_DRAW);
    gl.enableVertexAttribArray(index);
    gl.vertexAttribPointer(index, 3, type, normalised, 0, 0);
  };
  attribute(0, bytes(head.positions), gl.FLOAT, false);
  attribute(1, bytes(head.normals), gl.FLOAT, false);
  attribute(2, bytes(head.colors), gl.UNSIGNED_BYTE, true);
  gl.bindBuffer(gl.ELEMENT_ARRAY_BUFFER, gl.createBuffer());
  gl.bufferData(gl.ELEMENT_ARRAY_BUFFER, bytes(head.triangles), gl.STATIC_DRAW);
  gl.enable(gl.DEPTH_TEST);
  const uniform = (name) => gl.getUniformLocation(program, name);
  gl.uniform3fv(uniform("centre"), head.centre);
  gl.uniform1f(uniform("size"), head.size);
  let yaw = 0.5, pitch = 0.05, clay = false, held = false, swing = true;
  const still = matchMedia("(prefers-reduced-motion: reduce)").matches;
  function draw() {
    const pixels = Math.round(canvas.clientWidth * devicePixelRatio);
    if (canvas.width !== pixels) canvas.width = canvas.height = pixels;
    gl.viewport(0, 0, pixels, pixels);
    gl.clearColor(0, 0, 0, 0);
    gl.clear(gl.COLOR_BUFFER_BIT | gl.DEPTH_BUFFER_BIT);
    const [cy, sy, cp, sp] = [Math.cos(yaw), Math.sin(yaw), Math.cos(pitch), Math.sin(pitch)];
    gl.uniformMatrix3fv(uniform("turn"), false, [cy, sp * sy, -cp * sy, 0, cp, sp, sy, -sp * cy, cp * cy]);
    gl.uniform1i(uniform("clay"), clay);
    gl.drawElements(gl.TRIANGLES, head.count, gl.UNSIGNED_INT, 0);
  }
  function frame(time) {
    if (swing && !held && !still) yaw = 0.75 * Math.sin(time / 1800);
    draw();
    requestAnimationFrame(frame);
  }
  canvas.addEventListener("pointerdown", (e) => { held = true; swing = false; canvas.setPointerCapture(e.pointerId); });
  canvas.addEventListener("pointerup", () => { held = false; });
  canvas.addEventListener("pointermove", (e) => {
    if (!held) return;
    yaw += e.movementX / 120;
    pitch = Math.max(-1.4, Math.min(1.4, pitch + e.movementY / 120));
  });
  document.getElementById("clay").addEventListener("click", (e) => {
    clay = !clay;
    e.target.textContent = clay ? "Show colours" : "Show bare shape";
  });
  requestAnimationFrame(frame);
})();
